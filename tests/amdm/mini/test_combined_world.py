"""Marks and styles: where they lie, what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from amdm.mini.marks import MIN_LENGTH, SIZE, mark_coverage, mark_length, strip
from amdm.mini.renderer import render, shape_coverage
from amdm.mini.scene_stream import acting_scene, combined_scene, still_scene, style_picture
from amdm.mini.scenes import Scene, scene_generator
from amdm.mini.vocabulary import ACTIONS, COLOURS, DIRECTED, STYLES
from bench.cocomig.colour import colour_mask, rgb_to_hsv

LEFT, RIGHT = (0.05, 0.4, 0.25, 0.6), (0.7, 0.45, 0.95, 0.55)


def acting(index: int) -> Scene:
    """A scene with at least one action."""
    return acting_scene(scene_generator("test-acting", 0, index), 2 + index % 5)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_mark_lies_between_the_edges_of_the_boxes(action: str) -> None:
    seen = mark_coverage(action, LEFT, RIGHT) > 0
    rows, columns = np.nonzero(seen)
    assert columns.min() >= 0.25 * SIZE - 1 and columns.max() < 0.7 * SIZE + 1
    assert abs(rows.mean() / SIZE - 0.5) < 0.02
    assert not (seen & ~strip(LEFT, RIGHT) & (mark_coverage(action, LEFT, RIGHT) > 0.5)).any()


def test_only_a_directed_mark_tells_subject_from_object() -> None:
    for action in ACTIONS:
        there, back = mark_coverage(action, LEFT, RIGHT), mark_coverage(action, RIGHT, LEFT)
        assert (np.abs(there - back).max() > 0.5) == (action in DIRECTED)


def test_marks_of_different_actions_differ() -> None:
    scenes = [replace(acting(0), actions=(replace(acting(0).actions[0], action=action),)) for action in ACTIONS]
    images = [render(scene, scene_generator("x", 0, 0)).image.astype(int) for scene in scenes]
    for i in range(len(images)):
        for j in range(i):
            assert np.abs(images[i] - images[j]).max() > 60


def test_actions_stand_between_boxes_apart_with_strips_that_do_not_cross() -> None:
    counts = []
    for index in range(60):
        scene = acting(index)
        counts.append(len(scene.actions))
        boxes = [one.box for one in scene.objects]
        areas = [strip(boxes[one.subject], boxes[one.object]) for one in scene.actions]
        assert min(mark_length(boxes[one.subject], boxes[one.object]) for one in scene.actions) >= MIN_LENGTH
        assert np.sum(areas, axis=0).max() <= 1
        assert len({frozenset((one.subject, one.object)) for one in scene.actions}) == len(scene.actions)
    assert min(counts) == 1 and max(counts) == 3


def test_every_action_direction_and_style_occurs() -> None:
    scenes = [combined_scene("test-combined", 0, index)[0] for index in range(300)]
    assert {one.action for scene in scenes for one in scene.actions} == set(ACTIONS)
    assert {one.subject < one.object for scene in scenes for one in scene.actions} == {True, False}
    assert {scene.style for scene in scenes} == set(STYLES)
    assert 0.15 < np.mean([not scene.actions for scene in scenes]) < 0.35


@pytest.mark.parametrize("style", STYLES)
def test_no_style_gives_the_ground_a_colours_name(style: str) -> None:
    shares = []
    for index in range(20):
        scene = replace(acting(index), style=style, actions=())  # an orange mark lies in brown's range
        image = render(scene, scene_generator("test-style", 0, index)).image
        far = ~np.any([shape_coverage(one.category, one.box) > 0 for one in scene.objects], axis=0)
        hsv = rgb_to_hsv(image)
        shares.append([float(colour_mask(hsv, colour)[far].mean()) for colour in COLOURS])
    assert np.max(np.mean(shares, axis=0)) < 0.01


def test_styles_change_the_ground_and_nothing_else() -> None:
    scene = replace(still_scene(scene_generator("test-still", 0, 3)), style="plain")
    plain = render(scene, scene_generator("y", 0, 0))
    for style in STYLES[1:]:
        other = render(replace(scene, style=style), scene_generator("y", 0, 0))
        assert np.array_equal(plain.masks, other.masks)
        assert np.abs(plain.image.astype(int) - other.image.astype(int))[~plain.masks.any(0)].mean() > 8


def test_a_style_is_told_by_pictures_of_many_scenes() -> None:
    first, second = (style_picture("dots", scene_generator("z", 0, k)) for k in (0, 1))
    assert first.shape == (SIZE, SIZE, 3) and not np.array_equal(first, second)


def test_layouts_name_actions_and_never_styles() -> None:
    scene = acting(1)
    layout, plain = scene.layout(), scene.category_only()
    assert [one.action for one in layout.interactions] == [one.action for one in scene.actions]
    assert all(one.subject in layout.instances and one.object in layout.instances for one in layout.interactions)
    assert not any(colour in one.phrase for one in plain.instances for colour in COLOURS)
    assert layout.caption == plain.caption
    assert not any(word in layout.caption for word in (*ACTIONS, *STYLES))
