"""``amdm-bench merge``: one run of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.options import ReportsOption


def merge(
    out: Annotated[Path, typer.Argument(help="the run folder to make")],
    parts: Annotated[list[Path], typer.Argument(help="the run folders of the shards")],
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="also where samples are missing")] = False,
    reports: ReportsOption = Path("reports"),
) -> None:
    """Join the runs of shards into one, and write its tables. Refuses overlaps, gaps and different settings.

    Example: amdm-bench merge runs/all runs/part-1 runs/part-2
    """
    from bench.merge import merge_runs
    from bench.reporting import write_report

    count = merge_runs(out, parts, allow_gaps)
    write_report(out, reports / out.resolve().name)
    typer.echo(f"{count} samples of {len(parts)} runs: {out}\ntables: {reports / out.resolve().name}")
