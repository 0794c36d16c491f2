"""What was found for an instance, case by case."""

from __future__ import annotations

import numpy as np
import pytest

from bench.cocomig.colour import HSV_RANGES, colour_mask, rgb_to_hsv
from bench.cocomig.finding import UNNAMED, Finding, colour_shares, find_out
from bench.cocomig.verdict import Detections, Masks, judge_placed, place_instance

RED, BLUE, PINK = (200, 20, 20), (20, 20, 200), (230, 120, 200)
BOX = (0.25, 0.25, 0.75, 0.75)


def found(paint: dict[tuple[int, int, int], slice], colour: str, boxes: list[list[float]]) -> Finding:
    """A square of 32 pixels in the middle of 64, painted by columns, and the boxes that a detector saw."""
    image = np.full((64, 64, 3), 127, np.uint8)
    for rgb, columns in paint.items():
        image[16:48, columns] = rgb
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    detections = Detections(np.array(boxes), np.full(len(boxes), 0.9))
    placement = place_instance((64, 64), BOX, detections)
    candidates = Masks(np.stack([~mask, mask]), np.array([0.1, 0.9])) if placement.success else None
    verdict = judge_placed(image, colour, placement, candidates)
    return find_out(image, colour, placement, detections, candidates, verdict)


def test_the_box_is_the_one_that_was_judged_clipped_to_the_picture() -> None:
    seen = found({RED: slice(16, 48)}, "red", [[0, 0, 4, 4], [16, 16, 48, 48]])
    assert seen == Finding(BOX, "red", 1.0)
    assert found({}, "red", [[-3, 60, 10, 70]]) == Finding((0.0, 0.9375, 0.15625, 1.0))


def test_nothing_is_said_where_nothing_was_detected() -> None:
    assert found({RED: slice(16, 48)}, "red", []) == Finding(None, None, None)


def test_a_wrong_colour_is_the_fullest_one() -> None:
    seen = found({RED: slice(16, 20), BLUE: slice(20, 48)}, "red", [[16, 16, 48, 48]])
    assert (seen.colour, seen.share) == ("blue", pytest.approx(28 / 32))


def test_a_right_colour_is_the_one_asked_for_though_another_is_fuller() -> None:
    seen = found({RED: slice(16, 24), BLUE: slice(24, 48)}, "red", [[16, 16, 48, 48]])
    assert (seen.colour, seen.share) == ("red", pytest.approx(8 / 32))


def test_too_little_of_every_colour_has_no_name() -> None:
    seen = found({PINK: slice(16, 44), BLUE: slice(44, 48)}, "red", [[16, 16, 48, 48]])
    assert (seen.colour, seen.share) == (UNNAMED, pytest.approx(4 / 32))


def test_shares_are_those_of_the_verdicts_ranges() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    mask = np.random.default_rng(1).random((20, 30)) < 0.4
    hsv = rgb_to_hsv(image)
    expected = {name: (colour_mask(hsv, name) & mask).sum() / mask.sum() for name in HSV_RANGES}
    assert colour_shares(image, mask) == pytest.approx(expected)
    assert set(colour_shares(image, np.zeros((20, 30), bool)).values()) == {0.0}
