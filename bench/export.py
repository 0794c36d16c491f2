"""A run's pictures under the names that the official evaluator reads."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from amdm.errors import InputError
from bench.job import read_run
from bench.judge import OFFICIAL_CANVAS
from bench.layouts.layout_set import Entry
from bench.store import read_table, safe_name, stored_file


def export_pictures(run: Path, method: str, to: Path, seed: int | None = None) -> list[str]:
    """Copy one method's pictures of one seed to ``to`` as ``<image id, six digits>_<key>.png``, AMDM's own form.

    The official evaluator (`eval_mig.py`) takes what stands between the last "_" and the next "." for the key, scores
    every file of the folder, and leaves out entries without a picture.

    Returns:
        What was written, and what the official evaluator will not say; lines of text.

    Raises:
        InputError: no such method or seed, a folder that is not empty, a key that the official rule cannot read, a
            picture that is 512 high and not 512 wide (the official code stops there) or is gone.
    """
    job, _ = read_run(run)
    layout_set, seed = job.layout_set(), job.seeds[0] if seed is None else seed
    samples = read_table(run, "samples")
    own = samples[(samples["method"] == method) & (samples["seed"] == seed)]
    if own.empty:
        there = ", ".join(map(str, sorted(set(samples[["method", "seed"]].itertuples(index=False, name=None)))))
        raise InputError(f"no samples of {method!r} and seed {seed}; there are {there}", file=run)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError("is not an empty folder", file=to)
    stored = {row["layout_index"]: row["image"] for row in own[own["status"] == "ok"].to_dict("records")}
    pictures = [(e, _checked(run, stored[e.index], e)) for e in layout_set.entries if e.index in stored]
    to.mkdir(parents=True, exist_ok=True)
    for entry, path in pictures:
        shutil.copyfile(path, to / f"{safe_name(entry.image_id.zfill(6))}_{entry.key}.png")
    lines = [f"{len(pictures)} of {layout_set.full_size} layouts of {layout_set.name}: {to}"]
    levels = set(layout_set.levels) - {entry.level for entry, _ in pictures}
    if len(pictures) < layout_set.full_size:
        lines.append("the official evaluator leaves the other layouts out without a word")
    if levels:
        lines.append(f"and ends in ZeroDivisionError: no picture of {', '.join(f'L{k}' for k in sorted(levels))}")
    return lines


def _checked(run: Path, name: object, entry: Entry) -> Path:
    """The picture's file. Content decides how it is read, so a JPEG may be called .png."""
    if not entry.key or any(letter in entry.key for letter in "_./\\\0"):
        raise InputError("the official evaluator cannot read this key", field=entry.key)
    path = stored_file(run, name)
    if path is None or not path.is_file():
        raise InputError("is absent", file=run, field=str(name))
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError("is not a picture", file=path) from error
    if height == OFFICIAL_CANVAS != width:
        raise InputError(f"is {height} high and {width} wide: the official evaluator stops there", file=path)
    return path
