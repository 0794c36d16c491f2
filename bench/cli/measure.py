"""What the commands that measure something do with their job: foresee it, or run it and say where the results are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from amdm.errors import InputError
from amdm.output import tell, tell_aside
from bench.cli.options import resumable, tell_result, to_write
from bench.remote import is_url
from bench.workers import worker_count

if TYPE_CHECKING:
    from bench.engines.cluster import RayEngine
    from bench.spec import Job


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
    from bench.plan import Plan
    from bench.report.write import first_failure
    from bench.run.schema import DATABASE
    from bench.track.registry import check_tracker

    if tracker is not None:
        check_tracker(tracker)
    if engine is not None and is_url(out):
        what = "with --engine ray it must be a folder that every machine sees, not a remote folder"
        raise InputError(what, field="out")
    plan = Plan.resolve(job)
    with resumable(), to_write(out) as own:
        count, say = worker_count(workers, plan.is_heavy), partial(tell_aside, as_json=as_json)
        folder, failures = run_benchmark(plan, own, reports, count, force, say=say, engine=engine)
    tell_result(folder, reports, as_json)
    handed_over = tracker is None or _track(tracker, folder, reports / folder.resolve().name, as_json)
    if failures:
        first = first_failure(folder)
        hint = f"table1.md and {folder / DATABASE} say more, and the same command tries them again"
        typer.echo(f"error: {failures} samples failed, the first with {InputError(first)}; {hint}", err=True)
    if failures or not handed_over:
        raise typer.Exit(1)


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
