"""``amdm-bench``: measure layout-conditioned generators on COCO-MIG's protocol."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amdm.entry import run_app
from amdm.errors import InputError
from amdm.files import write_whole
from bench.commands import layouts, stored
from bench.commands.choice import CONTROL_LIMIT, CONTROL_METHODS, DEFAULT_METHODS, Choice
from bench.commands.merge import merge
from bench.commands.options import (
    BatchOption,
    DetectorOption,
    DeviceOption,
    DryRunOption,
    DtypeOption,
    ForceOption,
    LayoutsOption,
    LimitOption,
    MethodsOption,
    OutOption,
    ProfileOption,
    ReportsOption,
    SeedsOption,
    SetOption,
    ShardOption,
    WeightsDirOption,
    WorkersOption,
    integers,
    names,
    numbers,
    resumable,
    shard_of,
    where_results_are,
    worker_count,
)
from bench.engines.local import WorkerLostError

if TYPE_CHECKING:
    from bench.job import Job

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(layouts.app, name="layouts")
app.command()(merge)
for command in (
    stored.score,
    stored.check_authors,
    stored.export,
    stored.table,
    stored.clip,
    stored.compare,
    stored.verify,
    stored.regress,
    stored.baseline,
):
    app.command()(command)


def _job_command(name: str, usual: tuple[str, ...], usual_limit: int | None, about: str) -> None:
    """Add a command that measures methods of a profile. usual: its methods where none are named."""

    @app.command(name, help=about)
    def command(
        profile: ProfileOption = "auto",
        limit: LimitOption = usual_limit,
        seeds: SeedsOption = "0",
        methods: MethodsOption = None,
        batch: BatchOption = None,
        layouts: LayoutsOption = None,
        out: OutOption = None,
        reports: ReportsOption = Path("reports"),
        workers: WorkersOption = None,
        change: SetOption = None,
        device: DeviceOption = "auto",
        dtype: DtypeOption = "auto",
        weights_dir: WeightsDirOption = None,
        shard: ShardOption = None,
        dry_run: DryRunOption = False,
        force: ForceOption = False,
    ) -> None:
        choice = Choice(profile, limit, seeds, methods, batch, layouts, change, device, dtype, weights_dir, shard)
        _run(choice, usual, out, reports, workers, force, dry_run)


_job_command(
    "migc",
    DEFAULT_METHODS,
    None,
    """The main job: generate, judge and time methods over a layout set; write Table 1.

    Example: amdm-bench migc --profile mini --limit 100 --seeds 0,1 --methods interactdiffusion,migc
    """,
)
_job_command(
    "controls",
    CONTROL_METHODS,
    CONTROL_LIMIT,
    """Control experiments: the paper's letter, the target with itself, switch, slerp, category-only phrases.

    Example: amdm-bench controls --profile mini --limit 50
    """,
)


@app.command()
def run(
    generator: Annotated[str, typer.Option(help="module:function, from (layouts, seeds) to pictures")],
    layouts: Annotated[str, typer.Option(help="a layout set by name, or a file")] = "coco-mig-amdm",
    name: Annotated[str | None, typer.Option(help="what tables call it; default: the function's name")] = None,
    detector: DetectorOption = None,
    limit: LimitOption = None,
    seeds: SeedsOption = "0",
    batch: BatchOption = 4,
    out: OutOption = None,
    reports: ReportsOption = Path("reports"),
    workers: Annotated[int, typer.Option(help="processes; each imports the function")] = 1,
    shard: ShardOption = None,
    force: ForceOption = False,
) -> None:
    """Measure any Python function from layouts to pictures, as the main job measures ours; run again, it goes on.

    Example: amdm-bench run --generator my_module:my_function --layouts mini --detector mini --limit 25
    """
    from bench.external import callable_digest
    from bench.job import Job, usual_detector
    from bench.layouts.named import load_layouts

    if detector == usual_detector(load_layouts(layouts)):
        detector = None  # the same job, whether it is named or not
    job = Job(
        profile="external",
        layouts=layouts,
        methods=(name or generator.rpartition(":")[2],),
        seeds=integers(seeds),
        batch=4 if batch is None else batch,
        limit=limit,
        generator=generator,
        digest=callable_digest(generator),
        detector=detector,
        shard=shard_of(shard),
    )
    _measure(job, out, reports, workers, force)


@app.command()
def tune(
    models: Annotated[str, typer.Option(help="models, with commas")] = "interactdiffusion,migc",
    steps: Annotated[str, typer.Option(help="numbers of steps T, with commas")] = "20",
    guidances: Annotated[str, typer.Option(help="guidance scales, with commas")] = "2,3,4.5,6",
    limit: Annotated[int, typer.Option(help="layouts of the tuning set")] = 200,
    to: Annotated[Path, typer.Option(help="the table (CSV)")] = Path("runs/tuning.csv"),
    workers: WorkersOption = None,
) -> None:
    """Measure T and guidance of single mini models on the set mini-tune, which no result is reported on.

    Example: amdm-bench tune --models migc --steps 10,20,30 --guidances 4.5 --limit 40
    """
    from bench.tuning import tune as measure

    scales = numbers(guidances, "guidances")
    table = measure("mini", names(models), integers(steps, "steps"), scales, limit, worker_count(workers))
    to.parent.mkdir(parents=True, exist_ok=True)
    write_whole(to, table.to_csv(index=False, float_format="%.4f").encode())
    typer.echo(table.to_string(index=False))


@app.command()
def doctor() -> None:
    """Say what is installed here, what runs, and what is missing."""
    from bench.doctor import report

    for what, state in report():
        typer.echo(f"{what}: {state}")


@app.command("train-judge")
def train_judge(
    folder: Annotated[Path, typer.Option(help="checkpoints and losses")] = Path("training"),
    seed: Annotated[int, typer.Option(help="seed")] = 0,
) -> None:
    """Train the mini judge; needs the autoencoder that `amdm train-mini` leaves in the folder."""
    import torch

    from amdm.mini.trainer import load_trained_vae
    from bench.detection import mini_training

    torch.set_num_threads(1)
    target = folder / "weights" / "mini_judge.safetensors"
    mini_training.train_judge(folder, target, load_trained_vae(folder), seed)
    typer.echo(f"wrote {target}")


def main() -> None:
    """Entry point."""
    run_app(app, (sqlite3.Error, WorkerLostError), "; what was recorded is whole: the same command goes on from here")


def _run(
    choice: Choice,
    default_methods: tuple[str, ...],
    out: Path | None,
    reports: Path,
    workers: int | None,
    force: bool,
    dry_run: bool,
) -> None:
    from bench.job import chosen_profile

    chosen, why = chosen_profile(choice.profile)
    typer.echo(f"profile {chosen}: {why}")
    job = choice.job(chosen, default_methods)
    if dry_run:
        from bench.plan import plan

        typer.echo("\n".join(plan(job)))
        return
    _measure(job, out, reports, worker_count(workers, job.is_heavy()), force)


def _measure(job: Job, out: Path | None, reports: Path, workers: int, force: bool) -> None:
    from bench.job import run_job
    from bench.reporting import first_failure

    with resumable():
        folder, failures = run_job(job, out, reports, workers, force)
    typer.echo(where_results_are(folder, reports))
    if failures:
        first = first_failure(folder)
        hint = f"table1.md and {folder}/run.sqlite say more, and the same command tries them again"
        typer.echo(f"error: {failures} samples failed, the first with {InputError(first)}; {hint}", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
