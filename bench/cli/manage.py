"""``amdm-bench runs``: the runs under a folder: list, show, diff, rm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from amdm.errors import InputError
from amdm.output import JsonOption, plain, tell, tell_aside
from bench.cli.remote import RunArgument, to_read
from bench.io.remote import is_url, local_or_remote

app = typer.Typer(no_args_is_help=True, help="Run folders: list, show, diff, rm.")


@app.command("list")
def list_runs(
    folder: Annotated[str, typer.Argument(help="the folder that runs lie in, or its URL")] = "runs",
    as_json: JsonOption = False,
) -> None:
    """Every run in a folder: layouts, methods, seeds, status, how many of the expected samples are judged, date.

    Example: amdm-bench runs list runs --json
    """
    import pandas as pd

    from bench.report.text import as_markdown
    from bench.run.overview import runs_under

    found = runs_under(local_or_remote(folder))
    rows = [
        {
            "run": one.name,
            "layouts": one.layouts if one.count is None else f"{one.layouts}, {one.count}",
            "methods": ", ".join(one.methods),
            "seeds": ", ".join(map(str, one.seeds)),
            "status": one.problem or one.status,
            "judged": "" if one.judged is None else f"{one.judged} of {'?' if one.expected is None else one.expected}",
            "date": one.date or "",
        }
        for one in found
    ]
    tell(as_markdown(pd.DataFrame(rows)) or f"{folder}: no runs", found, as_json)


@app.command()
def show(run: RunArgument, as_json: JsonOption = False) -> None:
    """What a run was asked for, how it was made, how it grew, and how far it is.

    Example: amdm-bench runs show runs/NAME
    """
    from amdm.errors import printable
    from bench.run.info import RunInfo
    from bench.run.overview import RunOverview

    folder = to_read(run, pictures=False)
    overview, info = plain(RunOverview.of(folder)), RunInfo.read(folder)
    progress = info.progress.model_dump(mode="json", exclude_defaults=True)
    provenance = info.provenance.model_dump(mode="json") if info.provenance else {}
    facts = {**overview, **info.settings.by_name(), **progress, **provenance}
    lines = [
        printable(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")
        for name, value in facts.items()
        if value not in (None, [], {})
    ]
    tell("\n".join(lines), {**overview, "run": info.model_dump(mode="json")}, as_json)


@app.command()
def diff(
    first: RunArgument,
    second: Annotated[str, typer.Argument(help="another")],
    as_json: JsonOption = False,
) -> None:
    """Every setting that differs between two runs, and the metrics of both; `compare` pairs them layout by layout.

    Example: amdm-bench runs diff runs/a runs/b
    """
    from bench.report.run_diff import diff_markdown, run_diff

    found = run_diff(to_read(first, pictures=False), to_read(second, pictures=False))
    tell(diff_markdown(found), found, as_json)


@app.command("rm")
def remove(
    runs: Annotated[list[str], typer.Argument(help="run folders, local ones")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove runs: records, pictures, settings. What else lies in their folders stays, and so do their reports.

    Example: amdm-bench runs rm runs/NAME
    """
    from bench.run.remove import look_at, remove_run

    if away := [run for run in runs if is_url(run)]:
        raise InputError("is a remote folder: remove its objects by the storage's own tools", file=away[0])
    folders = [Path(run) for run in runs]
    looked = [look_at(run) for run in folders]  # all of them are runs, or none goes
    done: list[dict[str, Any]] = []
    for run, found in zip(folders, looked, strict=True):
        size = f"{len(found.own)} files, {found.bytes / 2**20:.1f} MiB"
        removed = yes or typer.confirm(f"remove {run} ({size})?", err=as_json)
        what = {"files": len(found.own), "bytes": found.bytes, "others": found.others}
        done.append({"run": run, "removed": removed, **what})
        if not removed:
            tell_aside(f"{run}: stays", as_json)
            continue
        remove_run(run)
        tell_aside(f"{run}: removed ({size})", as_json)
        if found.others:
            more = ", …" if len(found.others) > 5 else ""
            named = f"{', '.join(found.others[:5])}{more}"
            tell_aside(f"{run}: stays, with what is not the run's: {named}", as_json)
    if as_json:
        tell("", {"runs": done}, as_json)
