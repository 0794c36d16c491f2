"""Outlines of masks, and where they come from."""

from __future__ import annotations

import numpy as np

from bench.report.html.outlines import MOST_PARTS, outline


def test_a_square_has_four_corners_at_its_edges() -> None:
    mask = np.zeros((64, 64), bool)
    mask[16:48, 8:40] = True
    (line,) = outline(mask)
    corners = np.array(line).reshape(-1, 2)
    assert len(corners) == 4
    assert np.abs(corners.min(0) - (125, 250)).max() <= 3 and np.abs(corners.max(0) - (625, 750)).max() <= 3


def test_width_and_height_have_their_own_thousandths() -> None:
    mask = np.zeros((100, 400), bool)
    mask[50:, 200:] = True
    (line,) = outline(mask)
    corners = np.array(line).reshape(-1, 2)
    assert np.abs(corners.min(0) - 500).max() <= 6 and np.abs(corners.max(0) - 1000).max() <= 6


def test_the_largest_parts_are_drawn_and_nothing_of_an_empty_mask() -> None:
    mask = np.zeros((64, 64), bool)
    for k in range(6):
        mask[10 * k : 10 * k + 2 + k, 5 : 5 + 8 + k] = True
    lines = outline(mask)
    assert len(lines) == MOST_PARTS and min(line[1] for line in lines) > 200  # the two least, on top, are not
    assert outline(np.zeros((64, 64), bool)) == []
