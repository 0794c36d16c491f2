"""Layout sets by name: the mini world's, which lie in the package, and COCO-MIG's, which users fetch."""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from pathlib import Path

from amdm.errors import InputError, unknown
from amdm.io.files import user_cache
from amdm.layout import Instance, Layout
from amdm.mini.vocabulary import CATEGORIES, caption, label
from bench.layouts.layout_set import Entry, LayoutSet
from bench.layouts.readers import read_layouts
from bench.layouts.vocabulary import COCO, MINI

MINI_SETS = ("mini", "mini-hard", "mini-tune", "mini-combined", "mini-combined-tune")
COCO_MIG_FILES = {"coco-mig-amdm": "mig_bench.json", "coco-mig-migc": "migc/mig_bench.txt"}
AS_SHAPES = "-as-shapes"
SET_NAMES = (*MINI_SETS, *COCO_MIG_FILES, *(name + AS_SHAPES for name in COCO_MIG_FILES))
SHAPE_OF: dict[str, str] = {name: CATEGORIES[k % len(CATEGORIES)] for k, name in enumerate(sorted(COCO.categories))}
"""COCO category → shape: by sorted name, in turn, ten categories a shape."""


def load_layouts(name_or_path: str | Path) -> LayoutSet:
    """A set by name (:data:`SET_NAMES`), or from a layout file.

    ``<COCO-MIG set>-as-shapes`` is that set with its categories mapped to the mini world's shapes.

    Raises:
        InputError: an unknown name, a COCO-MIG file that was not fetched, or a bad file.
    """
    name = str(name_or_path)
    if name in MINI_SETS:
        with as_file(files("bench.layouts").joinpath("sets", f"{name}.json")) as path:
            return read_layouts(path, name)
    if name.endswith(AS_SHAPES) and name in SET_NAMES:
        return as_shapes(load_layouts(name.removesuffix(AS_SHAPES)))
    if name in COCO_MIG_FILES:
        path = coco_mig_dir() / COCO_MIG_FILES[name]
        if not path.is_file():
            raise InputError("not there: run `amdm-bench layouts fetch`, or set AMDM_COCO_MIG_DIR", file=path)
        return read_layouts(path, name)
    path = Path(name_or_path)
    if not path.suffix and not os.path.exists(path):  # False too for a name that no file can have
        raise unknown("layout set", name, SET_NAMES, field="layouts", more="; or a file")
    return read_layouts(path)


def coco_mig_dir() -> Path:
    """Where the COCO-MIG files are: AMDM_COCO_MIG_DIR, else ``amdm/coco-mig`` in the user's cache."""
    folder = os.environ.get("AMDM_COCO_MIG_DIR")
    return Path(folder) if folder else user_cache("coco-mig")


def as_shapes(layout_set: LayoutSet) -> LayoutSet:
    """A COCO-MIG set for the mini world: boxes and colours as they are, categories replaced by :data:`SHAPE_OF`.

    Different categories may become one shape, so categories repeat more often than in the original. The result has a
    name and a hash of its own.

    Raises:
        InputError: the set is not in COCO's vocabulary, is a subset, or holds what a set of shapes would lose.
    """
    if layout_set.vocabulary != COCO or len(layout_set) != layout_set.full_size:
        raise InputError("only a whole set with COCO's categories can be mapped to shapes", field=layout_set.name)
    for entry in layout_set.entries:
        if entry.layout.interactions or entry.style is not None:
            raise InputError(
                "interactions and styles cannot be mapped to shapes", field=f"{layout_set.name}.{entry.key}"
            )
    entries = tuple(_as_shapes(entry) for entry in layout_set.entries)
    return LayoutSet(layout_set.name + AS_SHAPES, entries, MINI, notes=layout_set.notes)


def _as_shapes(entry: Entry) -> Entry:
    labels = [label(one.colour, SHAPE_OF[one.category]) for one in entry.labels]
    boxes = [instance.box for instance in entry.layout.instances]
    instances = tuple(Instance(phrase, box) for phrase, box in zip(labels, boxes, strict=True))
    return Entry(entry.index, entry.key, entry.image_id, Layout(caption(labels), instances))
