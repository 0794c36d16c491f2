"""What stands where in a mini scene: sizes and repetition as measured on COCO-MIG, overlap as asked for."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from amdm.layout import Box, Instance, Interaction, Layout
from amdm.mini.vocabulary import CATEGORIES, COLOURS, caption, label

MIN_SIDE = 1 / 8
BOUNDED_OVERLAP = 0.25
"""Of the smaller box: the largest overlap of two boxes in the default layouts."""

# By number of instances: median and spread (std of the logarithm) of a side before the cut to [1/8, 1], correlation
# of log width and log height, so that quantiles come near COCO-MIG's; and, as counted on COCO-MIG, how many entries
# hold 1, 2, … distinct categories.
_SIZES: dict[int, tuple[float, float, float]] = {
    1: (0.36, 0.85, 0.64),
    2: (0.35, 0.85, 0.64),
    3: (0.32, 0.80, 0.59),
    4: (0.27, 0.72, 0.59),
    5: (0.23, 0.70, 0.53),
    6: (0.22, 0.70, 0.51),
}
_DISTINCT: dict[int, tuple[int, ...]] = {
    1: (160,),
    2: (67, 93),
    3: (38, 56, 66),
    4: (35, 35, 61, 29),
    5: (35, 34, 42, 36, 13),
    6: (40, 34, 35, 26, 18, 7),
}
_TRIES = 64


@dataclass(frozen=True)
class SceneObject:
    """One shape: what it is, and its box (xyxy in [0, 1])."""

    colour: str
    category: str
    box: Box

    @property
    def label(self) -> str:
        """``"a <colour> <category>"``."""
        return label(self.colour, self.category)


@dataclass(frozen=True)
class SceneAction:
    """``subject`` and ``object`` are indices of the scene's objects; ``action`` is one of the vocabulary's."""

    subject: int
    action: str
    object: int


@dataclass(frozen=True)
class Scene:
    """Objects in the order of the caption; drawn from the largest to the smallest, over the marks of the actions."""

    objects: tuple[SceneObject, ...]
    actions: tuple[SceneAction, ...] = ()
    style: str = "plain"

    @property
    def caption(self) -> str:
        """The caption of the benchmark's grammar."""
        return caption([one.label for one in self.objects])

    def layout(self) -> Layout:
        """The scene as a request with coloured labels; its style is told by a picture, apart from the layout."""
        return self._layout([one.label for one in self.objects])

    def category_only(self) -> Layout:
        """The same with phrases that name no colour; the caption keeps them."""
        return self._layout([f"a {one.category}" for one in self.objects])

    def _layout(self, phrases: list[str]) -> Layout:
        found = [Instance(phrase, one.box) for phrase, one in zip(phrases, self.objects, strict=True)]
        triples = (Interaction(found[one.subject], one.action, found[one.object]) for one in self.actions)
        return Layout(self.caption, tuple(found), tuple(triples))


def scene_generator(stream: str, seed: int, index: int) -> np.random.Generator:
    """Random numbers of one scene. Streams (a set of layouts, a training run) never share scenes."""
    return np.random.default_rng([zlib.crc32(stream.encode()), seed, index])


def sample_scene(rng: np.random.Generator, count: int, max_overlap: float | None = BOUNDED_OVERLAP) -> Scene:
    """A scene of ``count`` objects (1 … 6).

    Args:
        max_overlap: bound on intersection / smaller box for each pair; None places boxes anywhere, which gives
            about the overlaps of COCO-MIG.
    """
    categories = _categories(rng, count)
    boxes = None
    while boxes is None:
        boxes = _place(rng, _sizes(rng, count), max_overlap)
    colours = rng.integers(len(COLOURS), size=count)
    order = rng.permutation(count)
    objects = []
    for k in range(count):
        x1, y1, x2, y2 = (float(value) for value in boxes[order[k]])
        objects.append(SceneObject(COLOURS[colours[k]], CATEGORIES[categories[k]], (x1, y1, x2, y2)))
    return Scene(tuple(objects))


def overlap_of_smaller(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over the smaller area for each pair: (…, 4) and (…, 4), broadcast, xyxy → (…)."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    inside = np.clip(high - low, 0, None).prod(-1)
    areas = np.minimum((boxes[..., 2:] - boxes[..., :2]).prod(-1), (others[..., 2:] - others[..., :2]).prod(-1))
    return np.asarray(inside / areas)


def _categories(rng: np.random.Generator, count: int) -> np.ndarray:
    """Category indices (count,) with COCO-MIG's distribution of the number of distinct ones."""
    weights = np.array(_DISTINCT[count], dtype=float)
    distinct = 1 + int(rng.choice(count, p=weights / weights.sum()))
    kinds = rng.choice(len(CATEGORIES), size=distinct, replace=False)
    more = rng.choice(kinds, size=count - distinct)
    return rng.permutation(np.concatenate([kinds, more]))


def _sizes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Widths and heights (count, 2): correlated log-normals, redrawn until within [1/8, 1]; largest first."""
    median, spread, correlation = _SIZES[count]
    sizes = np.empty((0, 2))
    while len(sizes) < count:
        z = rng.standard_normal((4 * count, 2))
        z[:, 1] = correlation * z[:, 0] + np.sqrt(1 - correlation**2) * z[:, 1]
        drawn = median * np.exp(spread * z)
        sizes = np.concatenate([sizes, drawn[(drawn >= MIN_SIDE).all(1) & (drawn <= 1).all(1)]])
    sizes = sizes[:count]
    return np.asarray(sizes[np.argsort(-sizes.prod(1))])


def _place(rng: np.random.Generator, sizes: np.ndarray, max_overlap: float | None) -> np.ndarray | None:
    """Boxes (n, 4) of the given sizes inside the picture, or None where the bound cannot be met."""
    boxes = np.empty((0, 4))
    for size in sizes:
        corner = rng.random((_TRIES, 2)) * (1 - size)
        tried = np.concatenate([corner, np.minimum(corner + size, 1.0)], axis=1)
        if max_overlap is not None and len(boxes):
            fits = (overlap_of_smaller(tried[:, None], boxes[None]) <= max_overlap).all(1)
            if not fits.any():
                return None
            tried = tried[fits]
        boxes = np.concatenate([boxes, tried[:1]])
    return boxes
