"""The mini world: scenes keep their bounds, and rendered colours have the benchmark's names."""

from __future__ import annotations

import numpy as np
import pytest

from amdm.mini.renderer import SIZE, render, shape_coverage
from amdm.mini.scene_stream import training_scene
from amdm.mini.scenes import BOUNDED_OVERLAP, MIN_SIDE, overlap_of_smaller, sample_scene, scene_generator
from amdm.mini.vocabulary import CATEGORIES, COLOURS
from bench.cocomig.colour import colour_mask, rgb_to_hsv


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_scenes_keep_their_bounds(count: int) -> None:
    for index in range(50):
        scene = sample_scene(scene_generator("test", 0, index), count)
        boxes = np.array([one.box for one in scene.objects])
        sides = boxes[:, 2:] - boxes[:, :2]
        assert len(boxes) == count and (boxes >= 0).all() and (boxes <= 1).all()
        assert (sides >= MIN_SIDE - 1e-9).all()
        shares = overlap_of_smaller(boxes[:, None], boxes[None])
        np.fill_diagonal(shares, 0)
        assert shares.max() <= BOUNDED_OVERLAP


def test_unbounded_scenes_overlap_more() -> None:
    most = 0.0
    for index in range(30):
        scene = sample_scene(scene_generator("test", 1, index), 6, None)
        boxes = np.array([one.box for one in scene.objects])
        shares = overlap_of_smaller(boxes[:, None], boxes[None])
        np.fill_diagonal(shares, 0)
        most = max(most, shares.max())
    assert most > 0.9


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("box", [(0.1, 0.2, 0.9, 0.7), (0.5, 0.5, 0.63, 0.63), (0.0, 0.0, 1.0, 1.0)])
def test_shapes_touch_all_sides_of_their_box(category: str, box: tuple[float, float, float, float]) -> None:
    rows, columns = np.nonzero(shape_coverage(category, box) > 0)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.array(found) - np.array(box) * SIZE).max() <= 1.5


def test_rendered_colours_have_their_official_name_and_the_ground_has_none() -> None:
    inside: dict[str, list[float]] = {colour: [] for colour in COLOURS}
    ground: list[float] = []
    for index in range(120):
        scene, rendering = training_scene("test", 0, index)
        hsv = rgb_to_hsv(rendering.image)
        for one, mask in zip(scene.objects, rendering.masks, strict=True):
            mask &= shape_coverage(one.category, one.box) > 0.999  # an edge mixes with the ground
            if mask.sum() >= 8:
                inside[one.colour].append(float(colour_mask(hsv, one.colour)[mask].mean()))
        far = ~np.any([shape_coverage(one.category, one.box) > 0 for one in scene.objects], axis=0)
        ground += [float(colour_mask(hsv, colour)[far].mean()) for colour in COLOURS]
    assert min(np.mean(shares) for shares in inside.values()) > 0.98
    assert max(ground) < 0.01


def test_masks_are_what_is_visible() -> None:
    for index in range(20):
        scene, rendering = training_scene("test", 2, index)
        assert rendering.masks.shape == (len(scene.objects), SIZE, SIZE)
        assert rendering.masks.sum(0).max() <= 1


def test_a_scene_is_known_by_its_stream_seed_and_index() -> None:
    first, again, other = (render(*_parts(*key)).image for key in (("a", 0, 1), ("a", 0, 1), ("b", 0, 1)))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def _parts(stream: str, seed: int, index: int):  # type: ignore[no-untyped-def]
    rng = scene_generator(stream, seed, index)
    return sample_scene(rng, 3), rng
