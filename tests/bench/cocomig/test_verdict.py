"""Verdicts: every recorded case of the official evaluator, and the rules one by one at other sizes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import nms

from amdm.errors import InputError
from bench.cocomig.verdict import (
    Detections,
    Masks,
    Verdict,
    intersection_over_union,
    judge_placed,
    non_maximum_suppression,
    place_instance,
    to_canvas,
)

RED, GRAY = (200, 20, 20), (127, 127, 127)


def judge_instance(
    image: np.ndarray,
    colour: str,
    box: Sequence[float],
    detections: Detections,
    segment: Callable[[np.ndarray, int], Masks],
    threshold: float = 0.5,
) -> Verdict:
    """One instance at a time, as the official evaluator goes."""
    placed = place_instance(image.shape[:2], box, detections, threshold)
    masks = segment(placed.target, placed.best) if placed.success and placed.best is not None else None
    return judge_placed(image, colour, placed, masks)


def draw(recipe: dict[str, Any]) -> np.ndarray:
    """A recorded picture, uint8 BGR."""
    height, width = recipe.get("size", (512, 512))
    image = np.empty((height, width, 3), np.uint8)
    image[:] = recipe["bg"]
    for op in recipe["ops"]:
        x1, y1, x2, y2 = op["r"]
        first = np.array(op["c"])
        if "n" in op:
            rows, columns = np.divmod(np.arange(op["n"]), x2 - x1)
            image[y1 + rows, x1 + columns] = first
        elif "c1" in op:
            steps = np.arange(x2 - x1)[:, None]
            image[y1:y2, x1:x2] = first + (np.array(op["c1"]) - first) * steps // (x2 - x1 - 1)
        else:
            image[y1:y2, x1:x2] = first
    return image


def digest(image: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


def recorded_masks(case: dict[str, Any]) -> Masks:
    masks = np.zeros((len(case["masks"]), 512, 512), bool)
    for mask, rectangles in zip(masks, case["masks"], strict=True):
        for x1, y1, x2, y2 in rectangles:
            mask[y1:y2, x1:x2] = True
    return Masks(masks, np.array(case["scores"], np.float32))


def test_recorded_verdicts(evaluator_dir: Path) -> None:
    cases = json.loads((evaluator_dir / "verdict_cases.json").read_text())["cases"]
    assert cases
    for case in cases:
        image = draw(case["image"])
        assert digest(image) == case["image"]["sha"], case["id"]
        canvas = to_canvas(image)
        assert digest(canvas) == case["image"].get("sha512", digest(canvas)), case["id"]
        calls = 0

        def segment(box: np.ndarray, best: int, case: dict[str, Any] = case) -> Masks:
            nonlocal calls
            calls += 1
            np.testing.assert_array_equal(box, np.array(case["bbox"]) * 512)
            return recorded_masks(case)

        colour = case["label"].split(" ")[1]
        detections = Detections(case["det"]["xyxy"], case["det"]["conf"])
        threshold = case.get("thr", 0.5)
        verdict = judge_instance(canvas[..., ::-1], colour, case["bbox"], detections, segment, threshold)
        expected = case["expect"]
        assert (verdict.success, verdict.attr) == (expected["success"], expected["attr"]), case["id"]
        assert abs(verdict.miou - expected["miou"]) <= 1e-6, case["id"]
        assert calls == expected["sam"], case["id"]
        assert (verdict.mask_px, verdict.hit_px) == (expected.get("mask_px"), expected.get("hit_px")), case["id"]


def picture(paint: tuple[int, int, int] = RED, size: int = 64) -> np.ndarray:
    """A gray picture whose upper left quarter is painted."""
    image = np.full((size, size, 3), GRAY, np.uint8)
    image[: size // 2, : size // 2] = paint
    return image


def quarter(_box: np.ndarray, _best: int, size: int = 64) -> Masks:
    masks = np.zeros((1, size, size), bool)
    masks[0, : size // 2, : size // 2] = True
    return Masks(masks, np.ones(1))


def verdict_of(image: np.ndarray, boxes: list[list[float]], scores: list[float]) -> Verdict:
    return judge_instance(image, "red", (0, 0, 0.5, 0.5), Detections(np.array(boxes), np.array(scores)), quarter)


def test_four_outcomes_at_native_size() -> None:
    there, elsewhere = [0.0, 0.0, 32.0, 32.0], [32.0, 32.0, 64.0, 64.0]
    right = verdict_of(picture(), [elsewhere, there], [0.9, 0.4])
    assert right == Verdict(True, 1.0, True, True, 1.0, 1024, 1024) and right.failure == "none"
    blue = verdict_of(picture((20, 20, 200)), [there], [0.9])
    assert blue == Verdict(True, 1.0, True, False, 0.0, 1024, 0) and blue.failure == "wrong_colour"
    moved = verdict_of(picture(), [[0.0, 0.0, 32.0, 15.0], elsewhere], [0.9, 0.8])
    assert moved == Verdict(True, moved.iou, False, False, moved.iou, None, None) and moved.failure == "wrong_place"
    assert moved.iou == pytest.approx(15 / 32)
    nothing = verdict_of(picture(), [], [])
    assert nothing == Verdict(False, 0.0, False, False, 0.0, None, None) and nothing.failure == "nothing_detected"


def test_segmenter_is_told_the_detection_before_suppression() -> None:
    asked = []

    def segment(box: np.ndarray, best: int) -> Masks:
        asked.append((box.tolist(), best))
        return quarter(box, best)

    boxes = [[40.0, 40.0, 60.0, 60.0], [40.0, 40.0, 60.0, 61.0], [0.0, 0.0, 32.0, 30.0]]
    judge_instance(picture(), "red", (0, 0, 0.5, 0.5), Detections(np.array(boxes), np.array([0.5, 0.9, 0.3])), segment)
    assert asked == [([0.0, 0.0, 32.0, 32.0], 2)]


def test_largest_score_wins_and_the_first_on_ties() -> None:
    masks = np.zeros((3, 64, 64), bool)
    masks[1, :4, :4] = True
    masks[2, :2, :2] = True
    found = Detections(np.array([[0.0, 0.0, 32.0, 32.0]]), np.array([1.0]))
    verdict = judge_instance(
        picture(), "red", (0, 0, 0.5, 0.5), found, lambda box, best: Masks(masks, np.array([0.1, 0.7, 0.7]))
    )
    assert verdict.mask_px == 16


def test_empty_mask_is_a_wrong_colour() -> None:
    found = Detections(np.array([[0.0, 0.0, 32.0, 32.0]]), np.array([1.0]))
    empty = Masks(np.zeros((1, 64, 64), bool), np.ones(1))
    verdict = judge_instance(picture(), "red", (0, 0, 0.5, 0.5), found, lambda box, best: empty)
    assert (verdict.failure, verdict.miou, verdict.mask_px) == ("wrong_colour", 0.0, 0)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="detections: 1 boxes but scores"):
        Detections(np.zeros((1, 4)), np.zeros(2))
    found = Detections(np.array([[0.0, 0.0, 32.0, 32.0]]), np.array([1.0]))
    with pytest.raises(InputError, match="segment: mask of shape"):
        judge_instance(picture(), "red", (0, 0, 0.5, 0.5), found, lambda box, best: quarter(box, best, 32))


corner = st.floats(0, 500, width=32)
side = st.floats(1, 300, width=32)
box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(box, st.floats(0, 1, width=32)), min_size=1, max_size=20))
def test_suppression_equals_torchvision(found: list[tuple[tuple[float, ...], float]]) -> None:
    boxes, scores = np.array([one for one, _ in found], np.float32), np.array([one for _, one in found], np.float32)
    kept = non_maximum_suppression(Detections(boxes, scores))
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.8).tolist()
    assert kept.tolist() == expected


@pytest.mark.numeric
@settings(max_examples=100, deadline=None)
@given(box, box)
def test_intersection_over_union_is_symmetric_and_bounded(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    forth = intersection_over_union(np.array(one), np.array([other], np.float32))
    back = intersection_over_union(np.array(other), np.array([one], np.float32))
    # A corner under 1024 is off by 2⁻¹⁵ at most: a side by twice that, and the three areas by that share of a side.
    narrowest = min(min(b[2] - b[0], b[3] - b[1]) for b in (one, other))
    bound = 24 * 2**-15 / narrowest
    assert forth.dtype == np.float32 and 0 <= forth[0] <= 1 + bound
    assert abs(forth[0] - back[0]) <= bound


@settings(max_examples=200, deadline=None)
@given(box, box)
def test_intersection_over_union_rounds_each_step_to_float32(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    f = np.float32
    target, found = np.array(one) * 1.0001, [f(value) for value in other]
    width = max(f(0), min(found[2], f(target[2])) - max(found[0], f(target[0])))
    height = max(f(0), min(found[3], f(target[3])) - max(found[1], f(target[1])))
    area = f((target[2] - target[0]) * (target[3] - target[1]))
    inside = width * height
    expected = inside / ((found[2] - found[0]) * (found[3] - found[1]) + area - inside)
    assert intersection_over_union(target, np.array([found], np.float32))[0] == expected
