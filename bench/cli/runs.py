"""``amdm-bench runs``: list, show, diff, rm; and commands on a run that is there: ``export``, ``verify``, ``merge``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Exit, Option, Typer

from amdm.errors import InputError
from amdm.output import JsonOption, plain, tell, tell_aside
from bench.cli import options as opt
from bench.io.remote import local_or_remote
from bench.run.places import to_read, to_write


def export(
    run: opt.RunArgument,
    to: Annotated[Path, Option(help="the folder to make")],
    method: Annotated[str | None, Option(help="whose pictures; needed without --hub")] = None,
    seed: Annotated[int, Option(help="whose pictures, of the run's seeds", min=0)] = 0,
    hub: Annotated[bool, Option("--hub", help="cards and tables for the Hugging Face Hub, of all methods")] = False,
    dataset: Annotated[
        str | None, Option(help="with --hub: user/name of the benchmark there, for .eval_results")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a method's pictures under the names that the official evaluator reads, so that it can score them.

    With --hub write results as the Hugging Face Hub takes them, a folder a repository; nothing is uploaded.

    Examples: amdm-bench export runs/NAME --method interactdiffusion+migc --to official/

    amdm-bench export runs/NAME --hub --to hub/
    """
    if hub:
        from bench.report.hub import export_hub

        if method is not None:
            raise InputError("goes without --hub, which exports all methods", field="method")
        folders = export_hub(to_read(run), to, dataset)
        shown = "\n".join(f"wrote {folder}" for folder in folders)
        tell(f"{shown}\nnothing was uploaded", {"folders": folders, "folder": to}, as_json)
        return
    from bench.run.export import export_images

    if dataset is not None:
        raise InputError("goes with --hub", field="dataset")
    if method is None:
        raise InputError("is needed where pictures are exported, or --hub", field="method")
    count = export_images(to_read(run), method, seed, to)
    tell(f"wrote {count} pictures to {to}", {"pictures": count, "folder": to}, as_json)


def verify(run: opt.RunArgument, weights_dir: opt.WeightsDirOption = None, as_json: JsonOption = False) -> None:
    """Check records, pictures and weights against run.json; exit 1 where something is not as recorded.

    Example: amdm-bench verify runs/NAME
    """
    from bench.run.verify import verify_run

    opt.use_weights_dir(weights_dir)
    problems = verify_run(to_read(run, again=True))
    end = f"{run}: {len(problems)} problem{'s'[: len(problems) > 1]}" if problems else f"{run}: whole"
    tell("\n".join([*problems, end]), {"run": run, "whole": not problems, "problems": problems}, as_json)
    if problems:
        raise Exit(1)


def merge(
    out: Annotated[str, Argument(help="the run folder to make, or its URL")],
    parts: opt.RunsArgument,
    allow_gaps: Annotated[bool, Option("--allow-gaps", help="also where samples are missing")] = False,
    reports: opt.ReportsOption = Path("reports"),
    as_json: JsonOption = False,
) -> None:
    """Join runs of shards, seeds or methods into one, and write its tables. Refuses overlaps, gaps, other settings.

    The run is asked for all seeds of all methods. Example: amdm-bench merge runs/all runs/part-1 runs/part-2
    """
    from bench.report.write import write_report
    from bench.run.merge import merge_runs, named
    from bench.run.schema import SAMPLE_KEY

    folders = [to_read(part) for part in parts]
    with to_write(out) as whole:
        merged = merge_runs(whole, folders, allow_gaps)
        report = reports / whole.resolve().name
        write_report(whole, report)
    missing = opt.missing_of(report)
    lacking = f"; {len(merged.gaps)} are missing or not judged: {named(merged.gaps)}" if merged.gaps else ""
    places = f"tables: {report}\nmissing: {'; '.join(missing) or 'nothing'}"
    gaps = [dict(zip(SAMPLE_KEY, key, strict=True)) for key in merged.gaps]
    document = {"run": out, "samples": merged.samples, "gaps": gaps, "report": report, "missing": missing}
    tell(f"{merged.samples} samples of {len(parts)} runs{lacking}: {out}\n{places}", document, as_json)


app = Typer(no_args_is_help=True, help="Run folders: list, show, diff, rm.")


@app.command("list")
def list_runs(
    folder: Annotated[str, Argument(help="the folder that runs lie in, or its URL")] = "runs",
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
def show(run: opt.RunArgument, as_json: JsonOption = False) -> None:
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
    lines = [printable(f"{name}: {_brief(value)}") for name, value in facts.items() if value not in (None, [], {})]
    tell("\n".join(lines), {**overview, "run": info.model_dump(mode="json")}, as_json)


def _brief(value: Any) -> str:
    """For a person, who would not read the settings of twenty methods or a digest for each of 400 style pictures.

    >>> _brief("cpu"), _brief([0, 1]), _brief({"a": 1}), _brief(list(range(300)))
    ('cpu', '[0, 1]', '{"a": 1}', '300 entries, which --json prints')
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{len(value)} entries, which --json prints" if len(text) > 1000 and not isinstance(value, str) else text


@app.command()
def diff(
    first: opt.RunArgument,
    second: Annotated[str, Argument(help="another run folder, or its URL")],
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
    runs: Annotated[list[str], Argument(help="run folders, or their URLs")],
    yes: Annotated[bool, Option("--yes", "-y", help="do not ask")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove runs: records, pictures, settings. What else lies in their folders stays, and so do their reports.

    Example: amdm-bench runs rm runs/NAME
    """
    from bench.run.remove import look_at, remove_run

    folders = [local_or_remote(run) for run in runs]
    looked = [look_at(run) for run in folders]  # all of them are runs, or none goes
    done: list[dict[str, Any]] = []
    for run, found in zip(folders, looked, strict=True):
        size = f"{len(found.own)} files, {found.bytes / 2**20:.1f} MiB"
        removed = yes or _confirmed(f"remove {run} ({size})?", as_json)
        what = {"files": len(found.own), "bytes": found.bytes, "others": found.others}
        done.append({"run": str(run), "removed": removed, **what})
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


def _confirmed(question: str, as_json: bool) -> bool:
    """Whether the user says yes. Raises InputError where there is no answer: Ctrl-C, or no terminal to ask at."""
    try:
        return typer.confirm(question, err=as_json)
    except typer.Abort:
        typer.echo(err=as_json)  # ends the line of the question
        raise InputError("is needed where nobody answers; this run and those after it stay", field="yes") from None
