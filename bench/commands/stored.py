"""Commands on a run folder that is there already: each stage after generation can be repeated alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.options import (
    DetectorOption,
    DeviceOption,
    ForceOption,
    RandomWeightsOption,
    ReportsOption,
    WeightsDirOption,
    WorkersOption,
    resumable,
    worker_count,
)

RunArgument = Annotated[Path, typer.Argument(help="the run folder")]
BASELINE = Path("reports/baselines/mini.json")


def score(
    run: RunArgument,
    again: Annotated[bool, typer.Option("--again", help="forget the verdicts that are there first")] = False,
    detector: DetectorOption = None,
    random_weights: RandomWeightsOption = False,
    weights_dir: WeightsDirOption = None,
    device: DeviceOption = "auto",
    dtype: Annotated[str | None, typer.Option(help="of the detector: float32 (default), bfloat16, float16")] = None,
    workers: WorkersOption = None,
    force: ForceOption = False,
) -> None:
    """Judge the pictures of a run that have no verdicts yet."""
    from bench.detection.registry import DetectorOptions, is_heavy
    from bench.job import recorded_detector, score_run

    options = DetectorOptions(detector or recorded_detector(run), weights_dir, device, dtype, random_weights)
    count = 1 if workers is None and is_heavy(options.name) else worker_count(workers)
    with resumable():
        judged = score_run(run, count, again, force, options)
    typer.echo(f"{judged} pictures have verdicts")


def table(run: RunArgument, reports: ReportsOption = Path("reports")) -> None:
    """Write the tables and the picture grid of a run folder again."""
    from bench.job import write_report

    typer.echo(write_report(run, reports / run.resolve().name))


def compare(
    a: Annotated[Path, typer.Argument(help="the first run folder")],
    b: Annotated[Path, typer.Argument(help="the second run folder")],
    summary: Annotated[Path | None, typer.Option(help="write the report as Markdown here too")] = None,
) -> None:
    """What the second run differs in from the first, paired over layouts, and which instances flipped."""
    from bench.compare import compare_runs

    report = compare_runs(a, b)
    typer.echo(report)
    if summary is not None:
        summary.write_text(report, encoding="utf-8")


def verify(run: RunArgument) -> None:
    """Check records, pictures and weights against run.json; exit 1 where something is not as recorded."""
    from bench.verify import verify_run

    problems = verify_run(run)
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{run}: {len(problems)} problems" if problems else f"{run}: whole")
    if problems:
        raise typer.Exit(1)


def regress(
    run: RunArgument,
    baseline: Annotated[Path, typer.Option(help="stored verdicts")] = BASELINE,
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


def baseline(
    run: RunArgument,
    reason: Annotated[str, typer.Option(help="why the baseline changes; kept in it")],
    to: Annotated[Path, typer.Option(help="the baseline file")] = BASELINE,
) -> None:
    """Make a run the baseline."""
    from bench.regression import make_baseline

    make_baseline(run, to, reason)
    typer.echo(f"wrote {to}")
