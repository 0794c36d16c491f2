"""The COCO-MIG verdict on one instance: is it where it was asked for, and is it of the colour it was asked in?

Rules and arithmetic of the official evaluator (MIG_Bench, `eval_mig.py`). Boxes, IoU and NMS are float32, because the
official numbers are, and a rounding decides cases that lie on a threshold. Nothing here knows a detector or a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from amdm.errors import InputError
from bench.cocomig.colour import colour_mask, rgb_to_hsv

OFFICIAL_CANVAS = 512
IOU_THRESHOLD = 0.5
NMS_THRESHOLD = 0.8
COLOUR_SHARE = 0.2
"""Smallest share of the mask's pixels in the colour's range."""

Failure = Literal["none", "nothing_detected", "wrong_place", "wrong_colour"]


@dataclass(frozen=True)
class Detections:
    """What a detector found for one category in one picture.

    boxes: float32 (N, 4), xyxy in pixels of the canvas, not necessarily inside it. scores: float32 (N,).
    """

    boxes: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        boxes, scores = np.asarray(self.boxes, np.float32).reshape(-1, 4), np.asarray(self.scores, np.float32)
        if scores.shape != (len(boxes),):
            raise InputError(f"{len(boxes)} boxes but scores of shape {scores.shape}", field="detections")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", scores)


class Masks(NamedTuple):
    """Candidate masks of one object: bool (K, H, W) with K ≥ 1, and their predicted scores (K,)."""

    masks: np.ndarray
    scores: np.ndarray


class Verdict(NamedTuple):
    """The verdict on one instance.

    detected: some box was found. iou: the largest IoU with the target box, 0 where nothing was found.
    success: the place is right (iou ≥ threshold). attr: place and colour are right; the place, where no colour is asked
    for.
    miou: contribution to mIoU: iou, but 0 where the place is right and the colour is wrong.
    mask_px, hit_px: pixels of the mask, and of these in the colour's range; None where the place is wrong already.
    """

    detected: bool
    iou: float
    success: bool
    attr: bool
    miou: float
    mask_px: int | None
    hit_px: int | None

    @property
    def failure(self) -> Failure:
        """Why the instance does not count, or "none"."""
        return failure(self.detected, self.success, self.attr)


def failure(detected: bool, success: bool, attr: bool) -> Failure:
    """The first requirement that an instance misses, or "none"."""
    if not detected:
        return "nothing_detected"
    if not success:
        return "wrong_place"
    return "none" if attr else "wrong_colour"


class Placement(NamedTuple):
    """Where an instance was found.

    target: the box asked for, float64 (4,), xyxy in pixels. best: index of the detection of the largest IoU, None where
    nothing was found. iou: that IoU, else 0. success: it reaches the threshold.
    """

    target: np.ndarray
    best: int | None
    iou: float
    success: bool


def place_instance(
    size: tuple[int, int], box: Sequence[float], detections: Detections, iou_threshold: float = IOU_THRESHOLD
) -> Placement:
    """Is the instance in its place? The best of the boxes left by NMS counts, not the most confident one, and one
    detection may serve several instances.

    Args:
        size: height and width of the picture, on its canvas (see :func:`to_canvas`).
        box: the box asked for, xyxy in [0, 1].
        detections: boxes for the instance's category, in pixels of the picture.

    >>> found = Detections(np.array([[0, 0, 50, 60], [70, 70, 90, 90]]), np.array([0.4, 0.9]))
    >>> place = place_instance((100, 100), (0, 0, 0.5, 0.5), found)
    >>> place.best, round(place.iou, 2), place.success
    (0, 0.83, True)
    """
    height, width = size
    target = np.asarray(box, np.float64) * np.array([width, height, width, height])
    kept = non_maximum_suppression(detections)
    if not len(kept):
        return Placement(target, None, 0.0, False)
    overlaps = intersection_over_union(target, detections.boxes[kept])
    best = int(overlaps.argmax())
    iou = float(overlaps[best])
    return Placement(target, int(kept[best]), iou, not iou < iou_threshold)


def judge_placed(image: np.ndarray, colour: str, placement: Placement, candidates: Masks | None) -> Verdict:
    """The verdict on an instance whose placement is known.

    Args:
        image: uint8 RGB (H, W, 3).
        colour: the colour asked for; "" where none is: then the place alone decides.
        candidates: masks (K, H, W); the one of largest score is taken, the first on ties. Needed where the place is
            right and a colour is asked for, unused elsewhere.
    """
    detected, iou = placement.best is not None, placement.iou
    if not placement.success:
        return Verdict(detected, iou, False, False, iou, None, None)
    if not colour:
        return Verdict(detected, iou, True, True, iou, None, None)
    if candidates is None:
        raise InputError("no mask of an instance in its place", field="segment")
    mask = best_mask(candidates)
    if mask.shape != image.shape[:2]:
        raise InputError(f"mask of shape {mask.shape} for a picture of {image.shape[:2]}", field="segment")
    mask_px = int(mask.sum())
    hit_px = int((colour_mask(rgb_to_hsv(image), colour) & mask).sum())
    attr = mask_px > 0 and hit_px / mask_px >= COLOUR_SHARE
    return Verdict(True, iou, True, attr, iou if attr else 0.0, mask_px, hit_px)


def best_mask(candidates: Masks) -> np.ndarray:
    """The mask of largest score, the first on ties: bool (H, W)."""
    return np.asarray(candidates.masks[int(np.argmax(candidates.scores))], dtype=bool)


def intersection_over_union(target: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """IoU of the target (4,) with float32 boxes (N, 4): float32 (N,).

    The target's corners and area are taken in float64 and rounded once, as NumPy 1 does with float64 scalars.

    >>> intersection_over_union(np.array([0.0, 0, 2, 2]), np.array([[1, 0, 2, 2], [2, 2, 3, 3]], np.float32))
    array([0.5, 0. ], dtype=float32)
    """
    area = np.float32((target[2] - target[0]) * (target[3] - target[1]))
    corners = target.astype(np.float32)
    sides = np.minimum(boxes[:, 2:], corners[2:]) - np.maximum(boxes[:, :2], corners[:2])
    inside = np.maximum(sides, np.float32(0)).prod(axis=1, dtype=np.float32)
    return np.asarray(inside / (_areas(boxes) + area - inside))


def non_maximum_suppression(detections: Detections) -> np.ndarray:
    """Indices of the boxes that stay, most confident first, int64 (M,): class-agnostic, float32.

    A float32 overlap is compared with the float64 threshold, as in torchvision: float32(0.8) > 0.8 suppresses.
    """
    boxes = detections.boxes
    areas = _areas(boxes)
    order = np.argsort(-detections.scores, kind="stable")
    kept: list[int] = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        sides = np.minimum(boxes[first, 2:], boxes[rest, 2:]) - np.maximum(boxes[first, :2], boxes[rest, :2])
        inside = np.maximum(sides, np.float32(0)).prod(axis=1, dtype=np.float32)
        with np.errstate(invalid="ignore"):  # two empty boxes: 0 / 0 suppresses nothing
            overlap = (inside / (areas[first] + areas[rest] - inside)).astype(np.float64)
        order = rest[~(overlap > NMS_THRESHOLD)]
    return np.asarray(kept, dtype=np.int64)


def to_canvas(image: np.ndarray, size: int | None = OFFICIAL_CANVAS) -> np.ndarray:
    """uint8 (H, W, 3) → uint8 (size, size, 3), OpenCV's bilinear resize; a picture of that size stays as it is, and so
    does any without a size.

    The official code looks at the height only, and fails later where the width differs.
    """
    if size is None or image.shape[:2] == (size, size):
        return image
    return np.asarray(cv2.resize(image, (size, size)))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
