"""``amdm-bench``: measure layout-conditioned generators on COCO-MIG's protocol."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Exit, Option

from amdm.console import make_app, run_app
from amdm.errors import InputError
from amdm.output import JsonOption, tell, tell_aside
from bench.cli import doctor, layouts, plot, report, runs, score, studies
from bench.cli import options as opt
from bench.job.seeds import seeds_of
from bench.run.places import to_write
from bench.workers.processes import WorkerLostError, worker_count

if TYPE_CHECKING:
    from bench.engines.cluster import RayEngine
    from bench.job.spec import Job


DEFAULT_METHODS = ("interactdiffusion", "interactdiffusion+migc", "migc")
CONTROL_METHODS = (
    *("interactdiffusion", "interactdiffusion+migc", "migc", "interactdiffusion-category"),
    *("interactdiffusion+migc@paper", "interactdiffusion+migc@paper-eta-0", "interactdiffusion+migc@paper-eta-0.1"),
    *("interactdiffusion+migc@paper-eta-0.2-0.25", "interactdiffusion+migc@paper-separate"),
    *("interactdiffusion+migc@shared", "interactdiffusion+itself", "switch", "slerp"),
)
CONTROL_LIMIT = 200
COMBINED_METHODS = (
    *("stable_diffusion@combined", "interactdiffusion@combined", "migc@combined", "ip-adapter@combined"),
    *("interactdiffusion+migc@combined-paper", "interactdiffusion+migc@combined"),
    *("interactdiffusion+ip-adapter@paper", "interactdiffusion+ip-adapter"),
    *("interactdiffusion+migc+ip-adapter@paper", "interactdiffusion+migc+ip-adapter"),
)
COMBINED_CONTROLS = (
    *("interactdiffusion+itself@combined", "mixed-then-target@combined", "slerp@combined"),
    *("migc+interactdiffusion@combined", "ip-adapter+interactdiffusion@combined"),
    "ip-adapter+migc+interactdiffusion@combined",
)
TUNED = "@tuned"


class TrainedPart(StrEnum):
    """What `train-judge` trains."""

    detector = "detector"
    judges = "judges"


app = make_app(__doc__)


def _job_command(
    name: str,
    usual: Callable[[str], tuple[str, ...]],
    usual_limit: int | None,
    about: str,
    usual_layouts: str | None = None,
) -> None:
    """Add a command that measures methods of a profile. usual: from the profile to its methods where none are named."""

    @app.command(name, help=about)
    def command(
        profile: opt.ProfileOption = "auto",
        limit: opt.LimitOption = usual_limit,
        seeds: opt.SeedsOption = "0",
        methods: opt.MethodsOption = None,
        batch: opt.BatchOption = None,
        layouts: opt.LayoutsOption = usual_layouts,
        out: opt.OutOption = None,
        reports: opt.ReportsOption = Path("reports"),
        workers: opt.WorkersOption = None,
        engine: opt.EngineOption = opt.EngineName.local,
        address: opt.AddressOption = None,
        change: opt.SetOption = None,
        device: opt.DeviceOption = "auto",
        dtype: opt.DtypeOption = "auto",
        weights_dir: opt.WeightsDirOption = None,
        shard: opt.ShardOption = None,
        dry_run: opt.DryRunOption = False,
        track: opt.TrackOption = None,
        force: opt.ForceOption = False,
        as_json: JsonOption = False,
    ) -> None:
        chosen_engine = opt.engine_of(engine, address, workers)
        from bench.defaults import preset_job

        opt.use_weights_dir(weights_dir)
        chosen = _chosen(profile, as_json)
        job = preset_job(
            chosen,
            usual(chosen) if methods is None else opt.names(methods),
            layouts=layouts,
            seeds=seeds_of(seeds),
            batch=batch,
            limit=limit,
            overrides=change or (),
            device=device,
            dtype=dtype,
            shard=opt.parse_shard(shard),
        )
        if dry_run:
            foresee(job, workers, as_json)
        else:
            measure(job, out, reports, workers, force, track, as_json, chosen_engine)


_job_command(
    "migc",
    lambda profile: DEFAULT_METHODS,
    None,
    """The main job: generate, judge and time methods over a layout set; write Table 1.

    Methods by default: interactdiffusion, interactdiffusion+migc, migc.

    Example: amdm-bench migc --profile mini --limit 100 --seeds 0,1 --methods interactdiffusion,migc
    """,
)
_job_command(
    "controls",
    lambda profile: CONTROL_METHODS,
    CONTROL_LIMIT,
    """Control experiments: paper and authors' code with one thing changed at a time, and simpler mixes.

    Also the target with itself, switch, slerp, and phrases without colours.

    Example: amdm-bench controls --profile mini --limit 50
    """,
)


def _combined_methods(profile: str) -> tuple[str, ...]:
    """Those of the profile: singles, aggregates, what was tuned, controls."""
    from amdm.presets.profile import load_profile

    known = load_profile(profile).methods
    tuned = tuple(name for name in known if name.endswith(TUNED))
    return tuple(name for name in (*COMBINED_METHODS, *tuned, *COMBINED_CONTROLS) if name in known)


_job_command(
    "combined",
    _combined_methods,
    None,
    """What no single model can draw: place, colour, action and style together, of single models and aggregates.

    joint.md in the report says what is right together and whether the claim of docs/combined.md holds. Methods: every
    model alone, the aggregates as the paper, as the authors' code, and as tuned (tune-combined), and controls.

    Example: amdm-bench combined --limit 50 --out runs/combined-50
    """,
    "mini-combined",
)


@app.command()
def run(
    generator: Annotated[str, Option(help="module:function or file.py:function, from (layouts, seeds) to pictures")],
    layouts: Annotated[str, Option(help="a layout set by name, or a file")] = "coco-mig-amdm",
    generator_arg: Annotated[
        list[str] | None, Option(help="name=value for building a class or factory, read as YAML; repeatable")
    ] = None,
    device: opt.DeviceOption = "auto",
    name: Annotated[str | None, Option(help="what tables call it; default: the function's name")] = None,
    detector: opt.DetectorOption = None,
    limit: opt.LimitOption = None,
    seeds: opt.SeedsOption = "0",
    batch: opt.BatchOption = 4,
    out: opt.OutOption = None,
    reports: opt.ReportsOption = Path("reports"),
    workers: Annotated[
        int | None, Option(help="processes, each imports the function; default: 1; with ray: the most actors")
    ] = None,
    engine: opt.EngineOption = opt.EngineName.local,
    address: opt.AddressOption = None,
    shard: opt.ShardOption = None,
    dry_run: opt.DryRunOption = False,
    track: opt.TrackOption = None,
    force: opt.ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure any Python function from layouts to pictures, as the main job measures ours; run again, it goes on.

    Examples: amdm-bench run --generator my_module:my_function --layouts mini --detector mini --limit 25

    amdm-bench run --generator my_model.py:Model --generator-arg ckpt=last.safetensors --device cuda
    """
    chosen_engine = opt.engine_of(engine, address, workers)
    from bench.defaults import function_job

    count = 1 if workers is None else workers
    job = function_job(
        generator,
        layouts=layouts,
        name=name,
        arguments=generator_arg or (),
        seeds=seeds_of(seeds),
        batch=batch,
        limit=limit,
        device=device,
        shard=opt.parse_shard(shard),
        detector=detector,
    )
    if dry_run:
        foresee(job, count, as_json)
    else:
        measure(job, out, reports, count, force, track, as_json, chosen_engine)


app.command()(score.score)
app.command("report")(report.page)
for command in (
    report.table,
    report.compare,
    report.clip,
    report.kid,
    report.style,
    score.hico_map,
    runs.export,
    runs.verify,
    runs.merge,
    report.regress,
    report.baseline,
    score.check_authors,
    studies.advise,
    studies.tune,
    studies.tune_combined,
    studies.hand_over,
    studies.compositions,
    studies.sweep,
    studies.ablation,
    doctor.doctor,
):
    app.command()(command)
app.add_typer(layouts.app, name="layouts")
app.add_typer(plot.app, name="plot")
app.add_typer(plot.paper, name="paper")
app.add_typer(runs.app, name="runs")


@app.command("train-judge")
def train_judge(
    folder: Annotated[Path, Option(help="checkpoints and losses")] = Path("training"),
    seed: Annotated[int, Option(help="of the training", min=0)] = 0,
    only: Annotated[TrainedPart | None, Option(help="train this alone; default: both")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train what judges mini pictures: the detector, then the judges of actions and styles.

    Needs the autoencoder that `amdm train-mini` leaves in the folder.
    """
    import torch

    from amdm.mini.training.trainer import load_trained_vae

    torch.set_num_threads(1)
    target, vae = folder / "weights", load_trained_vae(folder)
    if only in (None, TrainedPart.detector):
        from bench.detectors.mini_training import train_detector

        train_detector(folder, target / "mini_judge.safetensors", vae, seed)
    if only in (None, TrainedPart.judges):
        from bench.judges.training import train_judges

        train_judges(folder, target, vae, seed)
    tell(f"wrote {target}", {"weights": target}, as_json)


def main() -> None:
    """Entry point."""
    run_app(
        app,
        "amdm-bench",
        (sqlite3.Error, WorkerLostError),
        "; what was recorded is whole: the same command goes on from here",
    )


def _chosen(profile: str, as_json: bool) -> str:
    """The profile that is asked for, "auto" decided and said."""
    from amdm.profiles import chosen_profile

    chosen, why = chosen_profile(profile)
    tell_aside(f"profile {chosen}: {why}", as_json)
    return chosen


def foresee(job: Job, workers: int | None, as_json: bool) -> None:
    """Say what a job would do, then time two batches of it."""
    from bench.dry_run import describe
    from bench.estimate import estimate

    work = describe(job)
    tell_aside("\n".join(work), as_json)
    typer.echo("timing two batches ...", err=True)
    timed = estimate(job, workers)
    tell("\n".join(timed), {"dry_run": work, "estimate": timed}, as_json)


def measure(
    job: Job,
    out: str | None,
    reports: Path,
    workers: int | None,
    force: bool,
    tracker: str | None,
    as_json: bool,
    engine: RayEngine | None = None,
) -> None:
    """Run the benchmark, and say where the results are and what failed. engine: None works on this machine."""
    from bench.benchmark import run_benchmark
    from bench.job.plan import Plan
    from bench.report.write import first_failure
    from bench.run.schema import DATABASE
    from bench.track.registry import check_tracker

    if tracker is not None:
        check_tracker(tracker)
    plan = Plan.resolve(job)
    with opt.resumable(), to_write(out) as own:
        count, say = worker_count(workers, plan.is_heavy), partial(tell_aside, as_json=as_json)
        folder, failures = run_benchmark(plan, own, reports, count, force, say=say, engine=engine)
    opt.tell_result(folder, reports, as_json)
    handed_over = tracker is None or _track(tracker, folder, reports / folder.resolve().name, as_json)
    if failures:
        first = first_failure(folder)
        hint = f"table1.md and {folder / DATABASE} say more, and the same command tries them again"
        typer.echo(f"error: {failures} samples failed, the first with {InputError(first)}; {hint}", err=True)
    if failures or not handed_over:
        raise Exit(1)


def _track(tracker: str, folder: Path, report: Path, as_json: bool) -> bool:
    """Hand the results over; False where that fails, and says so: they are on disk all the same."""
    from bench.track.registry import track
    from bench.track.results import results_of

    try:
        tell_aside(track(tracker, results_of(folder, report)), as_json)
    except Exception as error:  # of a server, say
        what = InputError(f"{tracker}: {type(error).__name__}: {error}")
        typer.echo(f"error: {what}; the run is whole, and the same command hands it over again", err=True)
        return False
    return True
