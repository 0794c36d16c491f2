"""Tables and pictures of a run folder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from amdm.errors import InputError
from amdm.files import write_whole
from bench.job import Job, read_run
from bench.layouts.vocabulary import MINI
from bench.report.grid import balanced, picture_grid
from bench.scoring import read_image
from bench.store import read_table, stored_file
from bench.tables import CEILING, TableInfo, write_tables


def write_report(folder: Path, report: Path) -> str:
    """Tables and picture grid of a run folder; returns the Markdown."""
    job, info = read_run(folder)[0], table_info(folder)
    verdicts, samples = read_table(folder, "verdicts"), read_table(folder, "samples")
    if verdicts.empty:
        failed = samples[samples["status"] == "failed"]
        first = f"all {len(failed)} samples failed, the first with {failed['error'].iloc[0]}" if len(failed) else ""
        raise InputError(first or "nothing is judged yet; the command that made the run goes on", file=folder)
    page = write_tables(report, verdicts, samples, info)
    entries = balanced(job.layout_set().entries)
    grid, file = picture_grid(_pictures(folder, samples, job, {e.index for e in entries}), entries), BytesIO()
    grid.save(file, format="PNG")
    write_whole(report / "grid.png", file.getvalue())
    return page


def first_failure(folder: Path) -> str:
    """Why the first sample of a run failed; where none did, why the first picture could not be judged."""
    samples, events = read_table(folder, "samples"), read_table(folder, "events")
    failed, judged = samples[samples["status"] == "failed"]["error"], events[events["what"].str.startswith("judge: ")]
    found = [*failed, *judged["what"]]
    return str(found[0]) if found else "no reason recorded"


def table_info(folder: Path) -> TableInfo:
    """What tables say of a run. Raises InputError where its layouts are not those of this installation."""
    job, facts = read_run(folder)
    layout_set = job.layout_set()
    if layout_set.hash != facts.layout_hash:
        raise InputError("the layout set is not the one that was run", file=folder / "run.json", field="layout_hash")
    part = "" if job.shard is None else ", shard {} of {}".format(*job.shard)
    return TableInfo(
        title=f"Table 1{' (mini world)' if layout_set.vocabulary == MINI else ''}: {layout_set.name}{part}",
        judge=str(facts.judge),
        layouts=layout_set.name,
        layout_hash=layout_set.hash,
        count=len(layout_set),
        full_size=layout_set.full_size,
        methods=job.methods,
        seeds=job.seeds,
        command=facts.command,
        forced=tuple(f"{one.field}: was {one.before}, now {one.now}" for one in facts.forced),
    )


def _pictures(folder: Path, samples: Any, job: Job, wanted: set[int]) -> dict[str, dict[int, np.ndarray]]:
    shown: dict[str, dict[int, np.ndarray]] = {name: {} for name in (*job.methods, CEILING)}
    first = samples[(samples.status == "ok") & (samples.seed == job.seeds[0]) & samples.layout_index.isin(wanted)]
    for row in first.to_dict("records"):
        path = stored_file(folder, row["image"])
        if row["method"] in shown and path is not None and path.is_file():
            shown[row["method"]][row["layout_index"]] = read_image(path)
    return {name: found for name, found in shown.items() if found}
