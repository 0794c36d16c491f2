"""Boxes as other tools write them → xyxy in [0, 1], and records of a layout set in the making."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from amdm.errors import Faults, InputError, in_file, unknown
from bench.layouts.layout_set import ARTICLES, MAX_INSTANCES

Units = Literal["pixel", "relative"]
NAMES: dict[str, tuple[str, str, str, str]] = {
    "xyxy": ("x1", "y1", "x2", "y2"),
    "xywh": ("x", "y", "w", "h"),
    "cxcywh": ("cx", "cy", "w", "h"),
}
"""The four numbers of a box: two corners; a corner and the sides; the centre and the sides."""
SMALLEST = 1 - 1e-9
"""Pixels that a side must have (but for rounding): with less, boxes are fractions that are called pixels."""
WITHIN = {"pixel": 1.0, "relative": 1e-3}
"""A box that reaches outside its picture by no more is rounding, and is clipped."""
CLIPPED = "reached outside the picture by rounding, clipped"
Record = dict[str, Any]


@dataclass(frozen=True)
class BoxForm:
    """How boxes are written. units: pixels of the picture, or fractions of its width and height.

    Raises:
        InputError: an unknown name.
    """

    corners: str
    units: str

    def __post_init__(self) -> None:
        if self.corners not in NAMES:
            raise unknown("form of boxes", self.corners, NAMES, field="boxes")
        if self.units not in get_args(Units):
            raise unknown("units of boxes", self.units, get_args(Units), field="units")

    def unit_box(self, values: Sequence[Any], size: tuple[float, float] | None, counts: Counter[str]) -> list[float]:
        """xyxy in [0, 1].

        Args:
            values: four numbers in this form. size: the picture's width and height; needed for pixels alone.
            counts: of what was clipped; added to.

        Raises:
            InputError: not four finite numbers; no size; a box that is empty or outside, or has a side under a pixel.
        """
        numbers = _finite(values, NAMES[self.corners])
        if self.units == "pixel" and size is None:
            raise InputError("boxes in pixels need the picture's width and height", field="width")
        width, height = (1.0, 1.0) if size is None or self.units == "relative" else size
        x1, y1, x2, y2 = self._xyxy(*numbers)
        if x2 <= x1 or y2 <= y1:
            raise InputError(f"{_shown(numbers)} as {self.corners} is empty", field="bbox")
        if self.units == "pixel" and min(x2 - x1, y2 - y1) < SMALLEST:
            what = f"{_shown(numbers)} as {self.corners} has a side under a pixel; fractions are units relative"
            raise InputError(what, field="bbox")
        slack = WITHIN[self.units]
        if x1 < -slack or y1 < -slack or x2 > width + slack or y2 > height + slack:
            of = f"{width:g}×{height:g} pixels" if self.units == "pixel" else "sides 1"
            raise InputError(f"{_shown(numbers)} as {self.corners} reaches outside a picture of {of}", field="bbox")
        corners = [x1 / width, y1 / height, x2 / width, y2 / height]
        inside = [min(max(value, 0.0), 1.0) for value in corners]
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            raise InputError(f"{_shown(numbers)} as {self.corners} lies outside the picture", field="bbox")
        counts[CLIPPED] += inside != corners
        return inside

    def _xyxy(self, a: float, b: float, c: float, d: float) -> tuple[float, float, float, float]:
        if self.corners == "xyxy":
            return a, b, c, d
        if self.corners == "xywh":
            return a, b, a + c, b + d
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2


def pixel_size(width: Any, height: Any) -> tuple[float, float]:
    """Raises InputError for what is no number of pixels."""
    for name, value in (("width", width), ("height", height)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e300:
            shown = f"{value:g}" if isinstance(value, float) else str(value)[:40]
            raise InputError(f"{shown!r} is not a number of pixels", field=name)
    return float(width), float(height)


def number(text: str, field: str) -> float:
    """A decimal number from a file. Raises InputError for anything else."""
    if not text.strip():
        raise InputError("is missing", field=field)
    try:
        return float(text) if "_" not in text else math.nan  # Python reads 1_0 as a number
    except ValueError:
        raise InputError(f"{text[:40]!r} is not a number", field=field) from None


def _finite(values: Sequence[Any], names: Sequence[str]) -> list[float]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != 4:
        raise InputError(f"must be four numbers [{', '.join(names)}]", field="bbox")
    for name, value in zip(names, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e300 < value < 1e300:
            raise InputError(f"{name} is not a finite number", field="bbox")
    return [float(value) for value in values]


def _shown(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{one:g}' for one in numbers)}]"


def made_caption(labels: Sequence[str]) -> str:
    """The benchmark's grammar, with an article where a label has none.

    >>> made_caption(["a red bowl", "apple"])
    'a photo of a red bowl and an apple '
    """
    said = []
    for label in labels:
        first = label.split(" ", 1)[0].lower()
        said.append(label if first in ARTICLES else f"{'an' if first[:1] in 'aeiou' else 'a'} {label}")
    return "a photo of " + "and ".join(f"{one} " for one in said)


def record(segment: Sequence[dict[str, Any]], caption: str | None = None, image_id: str = "") -> Record:
    """One layout in the form of :func:`amdm.layout.parse_entry`; its caption is made of labels where there is none."""
    text = made_caption([one["label"] for one in segment]) if caption is None else caption
    return {"caption": text, "segment": list(segment), "image_id": image_id}


def keep(records: dict[str, Record], key: str, one: Record, counts: Counter[str]) -> None:
    """Add an annotated picture, if a layout may have as many instances; else count it as left out.

    Raises:
        InputError: the key is there already.
    """
    if key in records:
        raise InputError("stands twice: keys must be distinct", field=key)
    if not one["segment"]:
        counts["pictures without boxes, left out"] += 1
    elif len(one["segment"]) > MAX_INSTANCES:
        counts[f"pictures with more than {MAX_INSTANCES} boxes, left out"] += 1
    else:
        records[key] = one


def read_each(
    paths: Iterable[Path],
    segment_of: Callable[[Path], Sequence[dict[str, Any]]],
    counts: Counter[str],
    image_ids: bool = False,
) -> dict[str, Record]:
    """A layout a file, by the file's name without its ending; captions are made of the labels.

    Args:
        segment_of: from a file to its labels and boxes. counts: of what is left out; added to. image_ids: names of the
            files are those of the pictures.

    Raises:
        InputError: naming every file that cannot be read.
    """
    faults, records = Faults(), dict[str, Record]()
    for path in paths:
        with faults.at(), in_file(path):
            keep(records, path.stem, record(segment_of(path), image_id=path.stem if image_ids else ""), counts)
            counts["captions made of the labels"] += path.stem in records
    faults.check()
    return records


def notes_of(counts: Counter[str]) -> list[str]:
    """Lines that say what was left out, clipped or made up."""
    return [f"{count} {what}" for what, count in sorted(counts.items()) if count]
