"""HICO-DET's mean average precision, by the rules of its evaluators (Chao et al., 2018).

A class is a verb with an object (600 in HICO-DET). Of a picture the 100 likeliest triplets (human box, object box,
class) count, less those that repeat one (:func:`without_repeats`). In the order of its scores, one is right where both
of its boxes overlap the same annotated pair of its class by more than :data:`OVERLAP`, and no likelier one took the
pair. Average precision is read at 11 points of recall. In the setting "default" a class is sought in every picture, in
"known object" in those alone that hold its object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

OVERLAP = 0.5
MOST_TRIPLETS = 100
"""Of a picture."""
REPEATED, OBJECT_POWER = 0.7, 0.5
"""A likelier triplet of the class with IoU(humans)·IoU(objects)^OBJECT_POWER beyond REPEATED makes one a repetition."""
SETTINGS = ("default", "known_object")


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
    """The :data:`MOST_TRIPLETS` likeliest of each picture without repetitions, the likeliest of all first."""
    found = found.at(np.argsort(-found.score, kind="stable"))
    rank = pd.Series(found.picture).groupby(found.picture).cumcount().to_numpy()
    found = found.at(rank < MOST_TRIPLETS)
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
