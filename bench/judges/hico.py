"""HICO-DET's mean average precision: matching of its own evaluator (Chao et al., 2018), triplets that detectors' count.

A class is a verb with an object (600 in HICO-DET). Of a picture the 100 likeliest triplets (human box, object box,
class) count, as in QPIC's evaluator, less those that repeat one, as in CDN's (:func:`without_repeats`). In the order of
its scores, one is right where both of its boxes overlap the same annotated pair of its class by more than
:data:`OVERLAP`, and no likelier one took the pair; of several pairs it is that of the largest overlap. Average
precision is read at 11 points of recall. In the setting "default" a class is sought in every picture, in "known object"
in those alone that hold a pair with its object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from amdm.errors import InputError, in_file
from amdm.layout import read_object, reject_lone_surrogates
from bench.judges.registry import JudgeSpec

OVERLAP = 0.5
MAX_TRIPLETS = 100
"""Of a picture."""
REPEATED, OBJECT_POWER = 0.7, 0.5
"""A likelier triplet of the class with IoU(humans)·IoU(objects)^OBJECT_POWER beyond REPEATED makes one a repetition."""
SETTINGS = ("default", "known_object")
MAX_FILE_BYTES = 512 * 2**20
"""Bytes; 100 triplets in each of HICO-DET's 9,658 test pictures have about 150 MB."""
MAX_CLASSES = 600


class HOIClass(NamedTuple):
    """rare: with fewer than ten instances in the training pictures."""

    verb: str
    object: str
    rare: bool


class Triplets(NamedTuple):
    """Those of all pictures, N rows.

    picture, hoi: int (N,), index of the picture and of the class. human, object: float64 (N, 4), xyxy in pixels, the
    last pixel included. score: (N,), 1 of what is annotated.
    """

    picture: np.ndarray
    hoi: np.ndarray
    human: np.ndarray
    object: np.ndarray
    score: np.ndarray

    def at(self, rows: np.ndarray) -> Triplets:
        """Some of them, by index or mask."""
        return Triplets(*(column[rows] for column in self))


def iou(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of a box (4,) with each of (N, 4), whose sides are x2 − x1 + 1 long: (N,).

    >>> iou(np.array([0, 0, 9, 9]), np.array([[0, 0, 9, 4]])).tolist()
    [0.5]
    """
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    shared = (high - low + 1).clip(0).prod(1)
    areas = [(boxes[..., 2:] - boxes[..., :2] + 1).prod(-1) for boxes in (one, others)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))


def average_precision(right: np.ndarray, positives: int) -> float:
    """Mean over recalls of 0, 0.1, … 1 of the best precision at that recall or beyond; 0 beyond the last.

    Args:
        right: bool (N,), the likeliest first. positives: how many there are to be found, 1 or more.
    """
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    # Recall in integers: three of ten are a recall of 0.3, which sums of 0.1 in floating point are not.
    reached = [precision[10 * found >= point * positives] for point in range(11)]
    return sum(float(one.max()) if len(one) else 0.0 for one in reached) / 11


def counted(found: Triplets) -> Triplets:
    """The :data:`MAX_TRIPLETS` likeliest of each picture without repetitions, the likeliest of all first."""
    found = found.at(np.argsort(-found.score, kind="stable"))
    rank = pd.Series(found.picture).groupby(found.picture).cumcount().to_numpy()
    found = found.at(rank < MAX_TRIPLETS)
    return found.at(without_repeats(found))


def without_repeats(found: Triplets) -> np.ndarray:
    """bool (N,): those that repeat no likelier one of their picture and class that stays. The likeliest are first."""
    stays = np.ones(len(found.score), dtype=bool)
    for rows in pd.DataFrame({"p": found.picture, "c": found.hoi}).groupby(["p", "c"]).indices.values():
        for k, row in enumerate(rows):
            later = rows[k + 1 :]
            if stays[row] and len(later):
                humans, objects = iou(found.human[row], found.human[later]), iou(found.object[row], found.object[later])
                stays[later[humans * objects**OBJECT_POWER > REPEATED]] = False
    return stays


def hico_map(found: Triplets, annotated: Triplets, classes: Sequence[HOIClass]) -> pd.DataFrame:
    """Average precision of each class: verb, object, rare, instances, default, known_object (fractions).

    NaN where nothing of a class is annotated: such classes are in no mean.

    Args:
        found: of the same pictures as ``annotated``.
    """
    found, names = counted(found), np.array([one.object for one in classes])
    holds = {str(name): np.unique(annotated.picture[names[annotated.hoi] == name]) for name in set(names.tolist())}
    rows = []
    for k, (verb, name, rare) in enumerate(classes):
        own, truth = found.at(found.hoi == k), annotated.at(annotated.hoi == k)
        row = {"verb": verb, "object": name, "rare": rare, "instances": len(truth.score)}
        right, known = _matched(own, truth), np.isin(own.picture, holds[name])
        for setting, seen in zip(SETTINGS, (np.ones_like(known), known), strict=True):
            there = len(truth.score) > 0
            row[setting] = average_precision(right[seen], len(truth.score)) if there else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _matched(found: Triplets, truth: Triplets) -> np.ndarray:
    """bool (N,): which of one class, the likeliest first, are right."""
    pairs = pd.Series(range(len(truth.score))).groupby(truth.picture).indices
    right, taken = np.zeros(len(found.score), dtype=bool), set[int]()
    for k, picture in enumerate(found.picture):
        rows = pairs.get(picture)
        if rows is None:
            continue
        overlap = np.minimum(iou(found.human[k], truth.human[rows]), iou(found.object[k], truth.object[rows]))
        best = int(rows[overlap.argmax()])
        if overlap.max() > OVERLAP and best not in taken:
            taken.add(best)
            right[k] = True
    return right


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean average precision in per cent: setting, full, rare, non_rare, and classes, of which full is; NaN of none."""
    there = table[table.instances > 0]
    parts = {"full": there, "rare": there[there.rare], "non_rare": there[~there.rare]}
    columns = {name: [100 * part[setting].mean() for setting in SETTINGS] for name, part in parts.items()}
    return pd.DataFrame({"setting": SETTINGS, **columns, "classes": len(there)})


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
    what = f"must be one object with the fields {', '.join(fields)}, and no others"
    content = read_object(path, MAX_FILE_BYTES, what)
    if set(content) != set(fields):
        raise InputError(what, file=path)
    return content


def _classes(listed: Any, rare: Any) -> tuple[HOIClass, ...]:
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_CLASSES:
        raise InputError(f"must be a list of 1 to {MAX_CLASSES} pairs", field="classes")
    if not isinstance(rare, list) or not all(_is_index(one, len(listed)) for one in rare):
        raise InputError("must be a list of indices of classes", field="rare")
    for k, one in enumerate(listed):
        if not isinstance(one, list) or len(one) != 2 or not all(isinstance(word, str) and word for word in one):
            raise InputError("must be [verb, object]", field=f"classes[{k}]")
        for word in one:
            reject_lone_surrogates(word, f"classes[{k}]")
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e6 <= value <= 1e6:
        raise InputError("must be a finite number of at most a million", field=field)
    return float(value)


def _is_index(value: Any, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count
