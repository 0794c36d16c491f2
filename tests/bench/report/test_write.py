from __future__ import annotations

from collections import Counter

import numpy as np

from bench.layouts.layout_set import balanced
from bench.report.write import GAP, HEADER, MARGIN, TILE, picture_grid
from tests.bench.fakes import GROUND, paint, small_set


def test_entries_are_balanced_over_levels() -> None:
    chosen = balanced(small_set(50).entries, 10)
    assert Counter(entry.level for entry in chosen) == dict.fromkeys((2, 3, 4, 5, 6), 2)
    assert [entry.level for entry in chosen] == sorted(entry.level for entry in chosen)
    assert len(balanced(small_set(5).entries, 10)) == 5


def test_every_method_shows_the_same_layouts_with_their_boxes() -> None:
    entries = balanced(small_set().entries, 5)
    images = paint("ceiling", [entry.layout for entry in entries], [entry.key for entry in entries]).images
    rows = {
        "migc": dict(zip([entry.index for entry in entries], images, strict=True)),
        "partial+method@x": {entries[0].index: np.full((64, 64, 3), GROUND, np.uint8)},
    }
    sheet = np.asarray(picture_grid(rows, entries))
    assert sheet.shape == (HEADER + 3 * (TILE + GAP), MARGIN + 5 * (TILE + GAP), 3)
    for column, (entry, image) in enumerate(zip(entries, images, strict=True)):
        left, top = MARGIN + column * (TILE + GAP), HEADER + TILE + GAP
        tile = sheet[top : top + TILE, left : left + TILE]
        boxes = (tile == (255, 0, 255)).all(-1)
        assert boxes.any()
        np.testing.assert_array_equal(tile[~boxes], image.repeat(3, 0).repeat(3, 1)[~boxes])
        x1, y1, _, _ = (round(value * (TILE - 1)) for value in entry.layout.instances[0].box)
        assert boxes[max(0, y1 - 1) : y1 + 2, max(0, x1 - 1) : x1 + 2].any()
    empty = sheet[HEADER + 2 * (TILE + GAP) : HEADER + 2 * (TILE + GAP) + TILE, MARGIN + TILE + GAP :]
    assert (empty == 255).all()
