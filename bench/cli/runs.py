"""Commands on a run folder that is there already: each stage after generation can be repeated alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amdm.errors import InputError
from amdm.output import JsonOption, tell
from bench.cli.options import ReportsOption, WeightsDirOption, missing_of, use_weights_dir
from bench.cli.remote import RunArgument, RunsArgument, to_read, to_write


def export(
    run: RunArgument,
    to: Annotated[Path, typer.Option(help="the folder to make")],
    method: Annotated[str | None, typer.Option(help="whose pictures")] = None,
    seed: Annotated[int, typer.Option(help="of which seed", min=0)] = 0,
    hub: Annotated[
        bool, typer.Option("--hub", help="cards and tables for the Hugging Face Hub, of all methods")
    ] = False,
    dataset: Annotated[
        str | None, typer.Option(help="with --hub: user/name of the benchmark there, for .eval_results")
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

        _refuse(method is not None, "goes without --hub, which exports all methods", "method")
        folders = export_hub(to_read(run), to, dataset)
        shown = "\n".join(f"wrote {folder}" for folder in folders)
        tell(f"{shown}\nnothing was uploaded", {"folders": folders, "folder": to}, as_json)
        return
    from bench.run.export import export_images

    _refuse(dataset is not None, "goes with --hub", "dataset")
    if method is None:
        raise InputError("is needed where pictures are exported, or --hub", field="method")
    count = export_images(to_read(run), method, seed, to)
    tell(f"wrote {count} pictures to {to}", {"pictures": count, "folder": to}, as_json)


def _refuse(wrong: bool, what: str, option: str) -> None:
    """Raise InputError where an option is given that its command would not follow."""
    if wrong:
        raise InputError(what, field=option)


def verify(run: RunArgument, weights_dir: WeightsDirOption = None, as_json: JsonOption = False) -> None:
    """Check records, pictures and weights against run.json; exit 1 where something is not as recorded.

    Example: amdm-bench verify runs/NAME
    """
    from bench.run.verify import verify_run

    use_weights_dir(weights_dir)
    problems = verify_run(to_read(run, again=True))
    end = f"{run}: {len(problems)} problem{'s'[: len(problems) > 1]}" if problems else f"{run}: whole"
    tell("\n".join([*problems, end]), {"run": run, "whole": not problems, "problems": problems}, as_json)
    if problems:
        raise typer.Exit(1)


def merge(
    out: Annotated[str, typer.Argument(help="the run folder to make, or its URL")],
    parts: RunsArgument,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="also where samples are missing")] = False,
    reports: ReportsOption = Path("reports"),
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
    missing = missing_of(report)
    lacking = f"; {len(merged.gaps)} are missing or not judged: {named(merged.gaps)}" if merged.gaps else ""
    places = f"tables: {report}\nmissing: {'; '.join(missing) or 'nothing'}"
    gaps = [dict(zip(SAMPLE_KEY, key, strict=True)) for key in merged.gaps]
    document = {"run": out, "samples": merged.samples, "gaps": gaps, "report": report, "missing": missing}
    tell(f"{merged.samples} samples of {len(parts)} runs{lacking}: {out}\n{places}", document, as_json)
