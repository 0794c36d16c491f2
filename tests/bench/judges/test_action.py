"""The judge of actions: the strip that it sees, what it reads off true pictures, and the file it is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amdm.errors import InputError
from amdm.layout import Box
from amdm.mini.marks import mark_coverage
from amdm.mini.renderer import render
from amdm.mini.scene_stream import acting_scene
from amdm.mini.scenes import Scene, SceneAction, SceneObject, scene_generator
from amdm.mini.vocabulary import ACTIONS
from bench.judges.action import ACTION_WEIGHTS, CONTEXT, ActionJudge, straightened
from tests.altered import flip_last_bit

LEFT: Box = (0.05, 0.4, 0.25, 0.6)
RIGHT: Box = (0.7, 0.35, 0.95, 0.65)


@pytest.fixture(scope="module")
def judge() -> ActionJudge:
    return ActionJudge.load()


def picture(action: str | None, subject: int = 0) -> np.ndarray:
    objects = (SceneObject("red", "square", LEFT), SceneObject("blue", "circle", RIGHT))
    actions = () if action is None else (SceneAction(subject, action, 1 - subject),)
    return render(Scene(objects, actions, "stripes"), np.random.default_rng(0)).image


def test_the_strip_runs_from_the_subjects_edge_to_the_objects() -> None:
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[...] = np.arange(64, dtype=np.uint8)[None, :, None]  # each pixel says its column
    seen = straightened(ramp, LEFT, RIGHT)[..., 0].astype(float)
    first, last = 0.25 * 64 - CONTEXT, 0.7 * 64 + CONTEXT
    expected = first + (np.arange(40) + 0.5) / 40 * (last - first) - 0.5
    np.testing.assert_allclose(seen, np.broadcast_to(expected, (16, 40)), atol=0.6)
    np.testing.assert_array_equal(straightened(ramp, RIGHT, LEFT)[..., 0], seen[::-1, ::-1])


def test_the_strip_is_sixteen_pixels_about_the_line() -> None:
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[...] = np.arange(64, dtype=np.uint8)[:, None, None]  # each pixel says its row
    seen = straightened(ramp, LEFT, RIGHT)[..., 0]  # along the middle, between the rows 31 and 32
    assert (seen == np.arange(24, 40)[:, None]).all()


def test_between_boxes_that_overlap_the_strip_is_the_context_of_their_edges_middle() -> None:
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[...] = np.arange(64, dtype=np.uint8)[None, :, None]
    seen = straightened(ramp, (0.125, 0.4, 0.625, 0.6), (0.5, 0.4, 0.875, 0.6))[..., 0].astype(float)
    expected = 36 + (np.arange(40) + 0.5) / 40 * 2 * CONTEXT - CONTEXT - 0.5  # the edges are at 40 and 32
    np.testing.assert_allclose(seen, np.broadcast_to(expected, (16, 40)), atol=0.6)


def test_a_mark_looks_the_same_in_every_direction() -> None:
    corner: Box = (0.6, 0.7, 0.8, 0.9)
    strips = []
    for other in (RIGHT, corner):
        coverage = np.repeat((255 * mark_coverage("pushes", LEFT, other))[..., None], 3, 2).astype(np.uint8)
        strips.append(straightened(coverage, LEFT, other)[..., 0].astype(float))
    assert np.abs(strips[0] - strips[1]).mean() < 16
    assert np.corrcoef(strips[0].ravel(), strips[1].ravel())[0, 1] > 0.93


def test_every_action_is_read_from_both_ends(judge: ActionJudge) -> None:
    for action in ACTIONS:
        for subject in (0, 1):
            ends = (LEFT, RIGHT) if subject == 0 else (RIGHT, LEFT)
            ((there, back),) = judge.judge([picture(action, subject)], [[ends, ends[::-1]]])
            assert (there.found, there.reversed) == (action, False) and there.margin > 0.5
            assert (back.found, back.reversed) == (action, action == "pushes")


def test_no_mark_is_read_where_none_stands(judge: ActionJudge) -> None:
    ((reading,),) = judge.judge([picture(None)], [[(LEFT, RIGHT)]])
    assert reading.found is None and not reading.reversed


def test_readings_stand_in_the_order_of_pictures_and_pairs(judge: ActionJudge) -> None:
    images = [picture("joins"), picture(None), picture("chains")]
    found = judge.judge(images, [[(LEFT, RIGHT)] * 2, [], [(LEFT, RIGHT)]])
    assert [[one.found for one in own] for own in found] == [["joins", "joins"], [], ["chains"]]
    assert judge.judge(images, [[], [], []]) == [[], [], []]


def test_the_foreign_mark_that_crosses_is_not_taken_for_its_own(judge: ActionJudge) -> None:
    wrong = total = 0
    for index in range(60):
        rng = scene_generator("test:judges", 0, index)
        scene = acting_scene(rng, 4 + index % 3)
        boxes = [one.box for one in scene.objects]
        pairs = [(boxes[one.subject], boxes[one.object]) for one in scene.actions]
        for k in range(len(scene.actions)):
            others = replace(scene, actions=scene.actions[:k] + scene.actions[k + 1 :])
            ((reading,),) = judge.judge([render(others, rng).image], [[pairs[k]]])
            wrong, total = wrong + (reading.found is not None), total + 1
    assert total > 60 and wrong / total <= 0.03


def test_other_pictures_are_refused(judge: ActionJudge) -> None:
    for image in (np.zeros((128, 128, 3), np.uint8), np.zeros((64, 64, 3), np.float32)):
        with pytest.raises(ValueError, match="mini judges take uint8"):
            judge.judge([image], [[(LEFT, RIGHT)]])


def test_other_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(ACTION_WEIGHTS.parent, tmp_path / "w")
    path = tmp_path / "w" / ACTION_WEIGHTS.name
    flip_last_bit(path)
    with pytest.raises(InputError, match="SHA-256"):
        ActionJudge.load(path)
    path.unlink()
    with pytest.raises(InputError, match="absent"):
        ActionJudge.load(path)
