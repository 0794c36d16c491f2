"""Outlines of masks, and where they come from; thumbnails in the page, larger pictures beside it or in it."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from bench.report.html.gallery import MAX_PARTS, THUMBNAIL, Pictures, outline


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
    assert len(lines) == MAX_PARTS and min(line[1] for line in lines) > 200  # the two least, on top, are not
    assert outline(np.zeros((64, 64), bool)) == []


SMALL = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
LARGE = np.kron(SMALL, np.ones((8, 8, 1), np.uint8))


def opened(text: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(text)))


def test_a_small_picture_is_its_own_thumbnail(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, single_file=False)
    stored = pictures.add(SMALL, (0, 0))
    assert stored == {"thumbnail": 0, "width": 48, "height": 64}
    shown = np.asarray(opened(pictures.thumbnails[0]).convert("RGB"), float)
    assert shown.shape == SMALL.shape and not list(tmp_path.iterdir())
    flat = Pictures(tmp_path, False)
    flat.add(np.full((64, 64, 3), (200, 30, 90), np.uint8), (0, 0))
    assert np.abs(np.asarray(opened(flat.thumbnails[0]).convert("RGB"), int) - (200, 30, 90)).max() <= 8  # RGB, not BGR


def test_a_large_one_lies_beside_the_page(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, single_file=False)
    stored = pictures.add(LARGE, (3, 1))
    assert stored["whole"] == "pictures/3-1.webp" and Image.open(tmp_path / stored["whole"]).size == (384, 512)
    assert opened(pictures.thumbnails[0]).size == (THUMBNAIL * 3 // 4, THUMBNAIL)


def test_one_that_is_too_long_for_its_format_has_its_thumbnail_alone(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, single_file=False)
    assert pictures.add(np.zeros((20_000, 2, 3), np.uint8), (0, 0)).get("whole") is None
    assert opened(pictures.thumbnails[0]).size == (1, THUMBNAIL)


def test_a_single_file_holds_it(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, single_file=True)
    assert pictures.add(LARGE, (3, 1))["whole"] == 0 and opened(pictures.whole[0]).size == (384, 512)
    assert not list(tmp_path.iterdir())


def test_what_an_earlier_page_left_goes_and_what_is_the_users_stays(tmp_path: Path) -> None:
    before = Pictures(tmp_path, single_file=False)
    for k in range(2):
        before.add(LARGE, (k, 0))
    (tmp_path / "pictures" / "mine.webp").write_bytes(b"")
    now = Pictures(tmp_path, single_file=False)
    now.add(LARGE, (0, 0))
    now.remove_others()
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["0-0.webp", "mine.webp"]
