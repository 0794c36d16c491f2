"""``amdm-bench advise``: settings for models that were never combined, with reasons and a confirming run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amdm.output import JsonOption, tell
from bench.cli.options import KeepOption, WorkersOption, resumable
from bench.workers.processes import worker_count


def advise(
    models: Annotated[str, typer.Argument(help="two or three, with commas, the target first; or a preset of several")],
    layouts: Annotated[str, typer.Option(help="a layout set by name, or a file; its first layouts are the probes")],
    limit: Annotated[int, typer.Option(help="probes, at most 24, balanced over levels")] = 20,
    confirm: Annotated[
        str | None, typer.Option(help="layouts of the confirming run; by default what the probes leave of theirs")
    ] = None,
    confirm_limit: Annotated[
        int, typer.Option(help="of the confirming run, rounded up to a multiple of 5, balanced over levels")
    ] = 100,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="settings.<model>.<field>=<value>, for example guidance; repeatable"),
    ] = None,
    to: Annotated[Path, typer.Option(help="folder for the advice")] = Path("reports/advice"),
    keep: KeepOption = Path("runs/advise"),
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose how mini models draw together, from a few layouts, with reasons; measure the choice on others.

    Single models, hand-over curves (the window), distances to the means (η), then compositions at equal cost.

    Example: amdm-bench advise migc,ip-adapter --layouts mini-combined-tune --confirm mini-combined
    """
    from bench.report.advice import FILES
    from bench.studies.advise import advise as measure

    with resumable():
        found = measure(
            models,
            layouts,
            confirm=confirm,
            limit=limit,
            confirm_limit=confirm_limit,
            overrides=change or (),
            out=to,
            keep=keep,
            workers=worker_count(workers),
        )
    files = [to / name for name in FILES]
    tell(f"{found}\nadvice: {', '.join(map(str, files))}", {**found.document(), "files": files}, as_json)
