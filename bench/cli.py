"""``amdm-bench``: measure layout-conditioned generators on COCO-MIG's protocol."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from amdm.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
layouts_app = typer.Typer(no_args_is_help=True, help="Layout sets: show, validate, fetch.")
app.add_typer(layouts_app, name="layouts")

ProfileOption = Annotated[str, typer.Option(help="auto, mini or paper")]
LimitOption = Annotated[int | None, typer.Option(help="layouts in all, a multiple of 5, balanced over levels")]
SeedsOption = Annotated[str, typer.Option(help="seeds, with commas")]
MethodsOption = Annotated[str | None, typer.Option(help="methods, with commas; the first is the target")]
BatchOption = Annotated[int | None, typer.Option(help="samples generated together; 16 for mini, 4 for paper")]
LayoutsOption = Annotated[str | None, typer.Option(help="a layout set by name, or a file")]
OutOption = Annotated[Path | None, typer.Option(help="run folder; by default one under runs/ named by the settings")]
ReportsOption = Annotated[Path, typer.Option(help="where tables and pictures go")]
WorkersOption = Annotated[int | None, typer.Option(help="processes; by default one a core, at most 4, or 1 on CUDA")]
ForceOption = Annotated[bool, typer.Option("--force", help="go on with a run under other settings; recorded")]


@app.command()
def migc(
    profile: ProfileOption = "auto",
    limit: LimitOption = None,
    seeds: SeedsOption = "0",
    methods: MethodsOption = None,
    batch: BatchOption = None,
    layouts: LayoutsOption = None,
    out: OutOption = None,
    reports: ReportsOption = Path("reports"),
    workers: WorkersOption = None,
    force: ForceOption = False,
) -> None:
    """The main job: generate, judge and time methods over a layout set; write Table 1.

    Example: amdm-bench migc --profile mini --limit 100 --seeds 0,1 --methods interactdiffusion,migc
    """
    from bench.job import DEFAULT_METHODS

    _run(profile, limit, seeds, methods, DEFAULT_METHODS, batch, layouts, out, reports, workers, force)


@app.command()
def controls(
    profile: ProfileOption = "auto",
    limit: LimitOption = 200,
    seeds: SeedsOption = "0",
    methods: MethodsOption = None,
    batch: BatchOption = None,
    layouts: LayoutsOption = None,
    out: OutOption = None,
    reports: ReportsOption = Path("reports"),
    workers: WorkersOption = None,
    force: ForceOption = False,
) -> None:
    """Control experiments: the paper's letter, the target with itself, switch, slerp, category-only phrases."""
    from bench.job import CONTROL_METHODS

    _run(profile, limit, seeds, methods, CONTROL_METHODS, batch, layouts, out, reports, workers, force)


@app.command()
def table(run: Path, reports: ReportsOption = Path("reports")) -> None:
    """Write the tables and the picture grid of a run folder again."""
    from bench.job import write_report

    typer.echo(write_report(run, reports / run.resolve().name))


@app.command()
def regress(
    run: Path,
    baseline: Annotated[Path, typer.Option(help="stored verdicts")] = Path("reports/baselines/mini.json"),
    summary: Annotated[Path | None, typer.Option(help="write the report as Markdown here too")] = None,
) -> None:
    """Compare a run with the baseline; exit 1 where a metric fell beyond its tolerance."""
    from bench.regression import check_regression

    result = check_regression(run, baseline)
    typer.echo(result.report)
    if summary is not None:
        summary.write_text(result.report, encoding="utf-8")
    if result.failures:
        raise typer.Exit(1)


@app.command()
def baseline(
    run: Path,
    reason: Annotated[str, typer.Option(help="why the baseline changes; kept in it")],
    to: Annotated[Path, typer.Option(help="the baseline file")] = Path("reports/baselines/mini.json"),
) -> None:
    """Make a run the baseline."""
    from bench.regression import make_baseline

    make_baseline(run, to, reason)
    typer.echo(f"wrote {to}")


@app.command()
def tune(
    models: Annotated[str, typer.Option(help="models, with commas")] = "interactdiffusion,migc",
    steps: Annotated[str, typer.Option(help="numbers of steps T, with commas")] = "20",
    guidances: Annotated[str, typer.Option(help="guidance scales, with commas")] = "2,3,5",
    limit: Annotated[int, typer.Option(help="layouts of the tuning set")] = 50,
    to: Annotated[Path, typer.Option(help="the table (CSV)")] = Path("reports/mini/tuning.csv"),
    workers: WorkersOption = None,
) -> None:
    """Measure T and guidance of single mini models on the set mini-tune, which no result is reported on."""
    from bench.tuning import tune as measure

    scales = [float(value) for value in guidances.split(",")]
    names = tuple(name.strip() for name in models.split(","))
    table = measure("mini", names, _integers(steps), scales, limit, _workers(workers))
    to.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(to, index=False, float_format="%.4f")
    typer.echo(table.to_string(index=False))


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


@layouts_app.command("show")
def layouts_show(
    layouts: Annotated[str, typer.Argument(help="a set by name, or a file")],
    sheet: Annotated[Path | None, typer.Option(help="write a contact sheet (PNG) here")] = None,
) -> None:
    """Statistics of a layout set, beside COCO-MIG's."""
    from bench.layouts.named import load_layouts
    from bench.layouts.show import describe
    from bench.layouts.statistics import contact_sheet

    layout_set = load_layouts(layouts)
    typer.echo(describe(layout_set))
    if sheet is not None:
        contact_sheet(layout_set, 20).save(sheet)


@layouts_app.command("validate")
def layouts_validate(layouts: Annotated[str, typer.Argument(help="a set by name, or a file")]) -> None:
    """Read a layout file; say what is wrong with it, or its size and hash."""
    from bench.layouts.named import load_layouts

    found = load_layouts(layouts)
    typer.echo(f"{found.name}: {len(found)} layouts, {found.instance_count} instances, hash {found.hash}")


@layouts_app.command("fetch")
def layouts_fetch(folder: Annotated[Path | None, typer.Option(help="by default the user's cache")] = None) -> None:
    """Fetch the public COCO-MIG files (non-commercial licence) and check their SHA-256."""
    from bench.layouts.fetch import LICENCE_NOTE, fetch_layouts

    typer.echo(LICENCE_NOTE)
    typer.echo(fetch_layouts(folder))


def main() -> None:
    """Entry point: bad input is one line and exit 2; Ctrl-C says how to go on and exits 130."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        sys.exit(130)


def _run(
    profile: str,
    limit: int | None,
    seeds: str,
    methods: str | None,
    default_methods: tuple[str, ...],
    batch: int | None,
    layouts: str | None,
    out: Path | None,
    reports: Path,
    workers: int | None,
    force: bool,
) -> None:
    from bench.job import DEFAULT_BATCH, DEFAULT_LAYOUTS, Job, chosen_profile, run_job

    chosen, why = chosen_profile(profile)
    typer.echo(f"profile {chosen}: {why}")
    job = Job(
        profile=chosen,
        layouts=layouts or DEFAULT_LAYOUTS[chosen],
        methods=tuple(name.strip() for name in methods.split(",")) if methods is not None else default_methods,
        seeds=_integers(seeds),
        batch=DEFAULT_BATCH[chosen] if batch is None else batch,
        limit=limit,
    )
    folder, failures = run_job(job, out, reports, _workers(workers), force)
    report = reports / folder.name
    typer.echo((report / "table1.md").read_text(encoding="utf-8"))
    typer.echo(f"records and pictures: {folder}\ntables: {report}/table1.csv, table1.md\npictures: {report}/grid.png")
    if failures:
        typer.echo(f"error: {failures} samples failed; see {folder}/run.sqlite", err=True)
        raise typer.Exit(1)


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{text!r} is not a list of integers with commas", field="seeds") from None


def _workers(asked: int | None) -> int:
    if asked is not None:
        if asked < 1:
            raise InputError(f"{asked} is not 1 or more", field="workers")
        return asked
    import torch

    return 1 if torch.cuda.is_available() else min(4, len(os.sched_getaffinity(0)))


if __name__ == "__main__":
    main()
