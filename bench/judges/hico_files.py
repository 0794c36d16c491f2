"""The judge of actions at full size: what a detector of human-object interactions found, recorded as JSON.

No such detector is run here: what FGAHOI, UPT, PViC or another found in pictures is scored by HICO-DET's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amdm.errors import InputError, in_file
from amdm.io.files import read_json
from bench.judges.hico import HOIClass, Triplets, hico_map
from bench.judges.spec import JudgeSpec

LARGEST_FILE = 512 * 2**20
"""Bytes; 100 triplets in each of HICO-DET's 9,658 test pictures have about 150 MB."""
MOST_CLASSES = 600


@dataclass(frozen=True)
class Annotations:
    """What stands in pictures. names: of the pictures, in the order that triplets count them."""

    classes: tuple[HOIClass, ...]
    names: tuple[str, ...]
    triplets: Triplets

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """``{"classes": [[verb, object], …], "rare": [index, …], "images": {name: [triplet, …]}}``.

        A triplet is ``{"human": [x1, y1, x2, y2], "object": […], "class": index}``, boxes in pixels.

        Raises:
            InputError: naming the field that is missing or is not what it must be.
        """
        classes, images = read_detections(path)
        with in_file(path):
            triplets = triplets_of(images, tuple(images), len(classes), scored=False)
        return cls(classes, tuple(images), triplets)


@dataclass(frozen=True)
class RecordedDetections:
    """What was found in pictures, by name. path: where it was recorded."""

    path: Path
    images: Mapping[str, list[Any]]

    @classmethod
    def read(cls, path: Path) -> RecordedDetections:
        """``{"images": {name: [triplet, …]}}``, triplets as of :meth:`Annotations.read`, with a ``"score"``.

        Raises:
            InputError: it is no such file. Triplets are checked when they are scored, against the classes there are.
        """
        content = _object(path, ("images",))
        with in_file(path):
            return cls(path, _images(content["images"]))

    def score(self, annotations: Annotations) -> pd.DataFrame:
        """Average precision by class: :func:`bench.judges.hico.hico_map`.

        Raises:
            InputError: a bad triplet, or other pictures than those annotated: one that the detector never saw would
                count as one in which it found nothing.
        """
        with in_file(self.path):
            if lacking := set(annotations.names) - set(self.images):
                raise InputError(f"{len(lacking)} annotated pictures are not there", field=f"images.{min(lacking)}")
            if strange := set(self.images) - set(annotations.names):
                raise InputError(f"{len(strange)} pictures are not annotated", field=f"images.{min(strange)}")
            found = triplets_of(self.images, annotations.names, len(annotations.classes))
        return hico_map(found, annotations.triplets, annotations.classes)


SPEC = JudgeSpec("HICO-DET mAP of recorded detections", "action", mini=False, load=RecordedDetections.read)


def read_detections(path: Path) -> tuple[tuple[HOIClass, ...], dict[str, list[Any]]]:
    """Classes and pictures of a file that has both (:class:`bench.judges.hico_layouts.LayoutDetections`).

    Raises:
        InputError: naming the field that is missing or is not what it must be.
    """
    content = _object(path, ("classes", "rare", "images"))
    with in_file(path):
        return _classes(content["classes"], content["rare"]), _images(content["images"])


def _object(path: Path, fields: tuple[str, ...]) -> dict[str, Any]:
    content = read_json(path, LARGEST_FILE)
    if not isinstance(content, dict) or set(content) != set(fields):
        raise InputError(f"must be one object with the fields {', '.join(fields)}, and no others", file=path)
    return content


def _classes(listed: Any, rare: Any) -> tuple[HOIClass, ...]:
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_CLASSES:
        raise InputError(f"must be a list of 1 to {MOST_CLASSES} pairs", field="classes")
    if not isinstance(rare, list) or not all(_is_index(one, len(listed)) for one in rare):
        raise InputError("must be a list of indices of classes", field="rare")
    for k, one in enumerate(listed):
        if not isinstance(one, list) or len(one) != 2 or not all(isinstance(word, str) and word for word in one):
            raise InputError("must be [verb, object]", field=f"classes[{k}]")
    if len({tuple(one) for one in listed}) < len(listed):
        raise InputError("has one pair twice", field="classes")
    return tuple(HOIClass(verb, name, k in set(rare)) for k, (verb, name) in enumerate(listed))


def _images(value: Any) -> dict[str, list[Any]]:
    if not isinstance(value, dict) or not value or not all(isinstance(one, list) for one in value.values()):
        raise InputError("must hold a list of triplets for each picture", field="images")
    return value


def triplets_of(images: Mapping[str, list[Any]], names: tuple[str, ...], classes: int, scored: bool = True) -> Triplets:
    """Those of the pictures, in the order of ``names``. Raises InputError naming a bad one."""
    fields = {"human", "object", "class", *(["score"] if scored else [])}
    rows = []
    for picture, name in enumerate(names):
        for k, one in enumerate(images[name]):
            try:
                if not isinstance(one, dict) or set(one) != fields:
                    raise InputError(f"must have the fields {', '.join(sorted(fields))}, and no others")
                if not _is_index(one["class"], classes):
                    raise InputError(f"must be an index of {classes} classes", field="class")
                score = _number(one["score"], "score") if scored else 1.0
                rows.append((picture, one["class"], *_box(one, "human"), *_box(one, "object"), score))
            except InputError as error:
                raise error.within(field=f"images.{name}[{k}]") from None
    table = np.array(rows, dtype=np.float64).reshape(-1, 11)
    return Triplets(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:6], table[:, 6:10], table[:, 10])


def _box(triplet: Mapping[str, Any], field: str) -> list[float]:
    box = triplet[field]
    if not isinstance(box, list) or len(box) != 4:
        raise InputError("must be [x1, y1, x2, y2]", field=field)
    x1, y1, x2, y2 = (_number(side, field) for side in box)
    if x2 < x1 or y2 < y1:
        raise InputError("ends before it begins", field=field)
    return [x1, y1, x2, y2]


def _number(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or abs(value) > 1e6:
        raise InputError("must be a finite number of at most a million", field=field)
    return float(value)


def _is_index(value: Any, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count
