"""Pictures of a run under the names of the official scripts."""

from __future__ import annotations

import shutil
from pathlib import Path

from amdm.errors import InputError, unknown
from amdm.io.files import new_folder
from bench.job.plan import Plan
from bench.run.images import picture_is, stored_file
from bench.run.info import RunInfo, check_layouts
from bench.run.read import read_table


def export_images(run: Path, method: str, seed: int, to: Path) -> int:
    """Copy to ``<image_id>_<key>.png``: the official evaluator reads the layout's key behind the last underscore.

    Returns how many. Raises InputError where the run has none of the method and seed, its layouts are not those that
    were run, or the folder is there already.
    """
    info = RunInfo.read(run)
    layout_set = Plan.resolve(info.job).layout_set
    check_layouts(layout_set, info.settings, run)
    entries = {entry.index: entry for entry in layout_set.entries}
    samples = read_table(run, "samples")
    chosen = samples[(samples.method == method) & (samples.seed == seed) & (samples.status == "ok")]
    if chosen.empty:
        there = samples[samples.status == "ok"]
        if method not in set(there.method):
            raise unknown("method", method, list(dict.fromkeys(there.method)), file=run, field="method")
        seeds = ", ".join(str(one) for one in sorted(set(there[there.method == method].seed)))
        raise InputError(f"has no pictures of {method!r} with seed {seed}; it has seeds {seeds}", file=run)
    named = {}
    for row in chosen.to_dict("records"):
        path, entry = stored_file(run, row["image"]), entries.get(row["layout_index"])
        if entry is None:
            raise InputError(f"names layout {row['layout_index']}, which is not of this run", file=run, field="samples")
        if path is None or not picture_is(run, row["image"], row["sha256"]):
            raise InputError("is not the picture that was recorded", file=run, field=str(row["image"]))
        image_id = entry.image_id.zfill(6) if entry.image_id.isdigit() else "000000"
        if not entry.key.isalnum():
            raise InputError("cannot stand in a file name of the official form", field=f"key {entry.key!r}")
        named[f"{image_id}_{entry.key}.png"] = path
    with new_folder(to) as folder:
        for name, path in named.items():
            shutil.copyfile(path, folder / name)
    return len(named)
