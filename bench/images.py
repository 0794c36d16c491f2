"""Pictures of any model, made elsewhere, as a run: which file belongs to which layout, and what is amiss."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from amdm.errors import InputError
from amdm.style_image import load_style
from bench.generation import Group
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.outside import IMAGES, Given, ImagesJob
from bench.scoring import read_image
from bench.store import RunStore, safe_name

TWIN = "anno_"
"""How the names of MIGC's drawings begin. The official evaluator scores them as pictures; here they are set aside."""
SHOWN = 10
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_OWN_SEED = re.compile(r"_s(\d{1,9})_[^_]*$")
Sample = tuple[int, int]
"""(layout index, seed)."""
State = Literal["picture", "missing", "duplicate", "unreadable"]


@dataclass(frozen=True)
class Assignment:
    """Which files are of which sample. strays: of none. twins: drawings, by their name. All in the order of names."""

    files: dict[Sample, list[Path]]
    strays: list[Path]
    twins: list[Path]


def by_name(folder: Path, layout_set: LayoutSet, seed: int) -> Assignment:
    """Files under ``folder`` by the official rule: the layout's key is between the last "_" and the next ".".

    This is how MIGC's and AMDM's scripts name pictures, and how run folders do. The latter also give the seed
    (``…_s<seed>_<key>.png``); all others have ``seed``.
    """
    keys = {safe_name(entry.key): entry.index for entry in layout_set.entries}
    keys |= {entry.key: entry.index for entry in layout_set.entries}
    found = Assignment({}, [], [])
    for path in _files(folder):
        index = keys.get(path.name.rpartition("_")[2].partition(".")[0]) if "_" in path.name else None
        if index is None:
            found.strays.append(path)
        elif path.name.startswith(TWIN):
            found.twins.append(path)
        else:
            own = _OWN_SEED.search(path.name)
            found.files.setdefault((index, int(own[1]) if own else seed), []).append(path)
    return found


def by_mapping(folder: Path, layout_set: LayoutSet, seed: int, mapping: Path) -> Assignment:
    """Files by a CSV file with the columns ``file`` (inside ``folder``), ``index`` (of the layout) and maybe ``seed``.

    Raises:
        InputError: unreadable, a column is missing, a field is no such number, a file outside the folder.
    """
    indices = {entry.index for entry in layout_set.entries}
    found = Assignment({}, [], [])
    for line, row in _rows(mapping):
        index, own = _number(row, "index", mapping, line), seed
        if row.get("seed"):
            own = _number(row, "seed", mapping, line)
        name = row["file"] or ""
        if not name or not name.isprintable():
            raise InputError(f"{name!r} is no file name", file=mapping, field=f"line {line}.file")
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError("is outside the folder of pictures", file=mapping, field=f"line {line}.file")
        if index not in indices:
            raise InputError(f"there is no layout {index}", file=mapping, field=f"line {line}.index")
        found.files.setdefault((index, own), []).append(path)
    named = {path.resolve() for paths in found.files.values() for path in paths}
    found.strays.extend(path for path in _files(folder) if path.resolve() not in named)
    return found


def images_job(
    folder: Path, layouts: str, mapping: Path | None, method: str, seed: int
) -> tuple[ImagesJob, Assignment]:
    """The job that ``folder`` is, every picture read once.

    Raises:
        InputError: no folder, or none of its files is of the layouts.
    """
    if not folder.is_dir():
        raise InputError("is not a folder", file=folder, field="images")
    layout_set = load_layouts(layouts)
    found = by_name(folder, layout_set, seed) if mapping is None else by_mapping(folder, layout_set, seed, mapping)
    if not found.files:
        raise InputError(f"none of {len(found.strays)} files is of a layout of {layout_set.name}", file=folder)
    seeds = tuple(sorted({own for _, own in found.files}))
    states = Counter(state_of(found.files.get((e.index, s), []))[0] for s in seeds for e in layout_set.entries)
    given = Given(
        pictures=states["picture"],
        missing=states["missing"],
        duplicate=states["duplicate"],
        unreadable=states["unreadable"],
        stray=len(found.strays),
        twins=len(found.twins),
        first=tuple(str(InputError(path.name)) for path in found.strays[:SHOWN]),
    )
    digest = _digest(folder, (path for _, paths in sorted(found.files.items()) for path in paths))
    job = ImagesJob(IMAGES, layouts, (method,), seeds, 1, origin=str(folder), digest=digest, given=given)
    return job, found


def state_of(paths: Sequence[Path]) -> tuple[State, str | None]:
    """Whether the files of a sample are its one picture, and what is amiss where they are not."""
    if not any(path.exists() for path in paths):
        return "missing", "no picture was given" + "".join(f": {path.name} is absent" for path in paths)
    if len(paths) > 1:
        return "duplicate", str(InputError("several files were given: " + ", ".join(path.name for path in paths)))
    try:
        load_style(paths[0])  # its limits
        read_image(paths[0])
    except InputError as error:
        return "unreadable", str(InputError(error.what, file=paths[0].name))
    return "picture", None


def take_in(found: Assignment) -> Callable[[RunStore, Sequence[Group], int], None]:
    """The producer (:data:`bench.job.Producer`) that copies the pictures, byte by byte."""
    return partial(_take_in, found)


def _take_in(found: Assignment, store: RunStore, work: Sequence[Group], workers: int) -> None:
    whole = store.whole_samples()
    wanted = [(group.method, entry, group.seed) for group in work for entry in group.entries]
    rows = []
    for method, entry, seed in wanted:
        if (method, entry.index, seed) in whole:
            continue
        paths = found.files.get((entry.index, seed), [])
        state, error = state_of(paths)
        row: dict[str, object] = {"method": method, "layout_index": entry.index, "seed": seed}
        row |= {"status": "failed", "error": error, "attempts": 1, "evaluations": "{}"}
        if state == "picture":
            suffix = paths[0].suffix.lower() if paths[0].suffix.lower() in SUFFIXES else ".png"
            content = paths[0].read_bytes()
            row["image"], row["sha256"] = store.add_file(method, entry.image_id, entry.key, seed, content, suffix)
            row["status"] = "ok"
        rows.append(row)
    store.record(samples=rows)


def _files(folder: Path) -> list[Path]:
    """Every file under the folder, hidden ones too, by name."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _rows(mapping: Path) -> list[tuple[int, dict[str, str | None]]]:
    try:
        with mapping.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"file", "index"} - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"has no column {' or '.join(sorted(missing))}", file=mapping)
            return [(reader.line_num, row) for row in reader]
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot be read as CSV: {error}", file=mapping) from error


def _number(row: dict[str, str | None], column: str, mapping: Path, line: int) -> int:
    text = (row[column] or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"{text!r} is not an integer of 0 or more", file=mapping, field=f"line {line}.{column}")
    return int(text)


def _digest(folder: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"
        digest.update(f"{path.relative_to(folder)}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
