"""The shipped judge: sees true renderings, is not blind to shape, and is the file it says it is."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from amdm.errors import InputError
from amdm.mini.vocabulary import CATEGORIES
from bench.cocomig.verdict import intersection_over_union
from bench.detectors.detector import PictureError, Prompt
from bench.detectors.mini import MiniDetector, _found
from bench.generators.renderer import true_renderings
from bench.layouts.named import load_layouts
from bench.stages.verdicts import Picture, judge_images
from tests.altered import flip_last_bit
from tests.closeness import ROUNDING, to_double

LAYOUTS = load_layouts("mini-tune").subset(50)


@pytest.fixture(scope="module")
def judge() -> MiniDetector:
    return MiniDetector()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return true_renderings([e.layout for e in LAYOUTS.entries], [f"t/{e.index}" for e in LAYOUTS.entries]).images


def test_true_renderings_pass(judge: MiniDetector, images: np.ndarray) -> None:
    pictures = [Picture("c", 0, entry, Path()) for entry in LAYOUTS.entries]
    verdicts = [one.verdict for own in judge_images(judge, list(images), pictures) for one in own]
    assert np.mean([one.success and one.attr for one in verdicts]) >= 0.95


def test_a_shape_that_is_not_there_is_rarely_found(judge: MiniDetector, images: np.ndarray) -> None:
    absent = [[c for c in CATEGORIES if c not in {lb.category for lb in e.labels}] for e in LAYOUTS.entries]
    wrong = total = 0
    for entry, found in zip(LAYOUTS.entries, judge.find(images, absent), strict=True):
        for instance in entry.layout.instances:
            for detections in found.detections.values():
                overlaps = intersection_over_union(np.array(instance.box) * 64, detections.boxes)
                wrong, total = wrong + bool(len(overlaps) and overlaps.max() >= 0.5), total + 1
    assert wrong / total <= 0.05


def test_the_colour_is_checked(judge: MiniDetector, images: np.ndarray) -> None:
    swapped = images[..., ::-1].copy()  # red becomes blue
    pictures = [Picture("c", 0, entry, Path()) for entry in LAYOUTS.entries]
    rows = [
        (label.colour, judged.verdict.attr)
        for one, own in zip(pictures, judge_images(judge, list(swapped), pictures), strict=True)
        for label, judged in zip(one.entry.labels, own, strict=True)
    ]
    assert np.mean([attr for colour, attr in rows if colour in ("red", "blue")]) <= 0.1


@pytest.mark.numeric
def test_a_batch_is_its_pictures_one_by_one(judge: MiniDetector, images: np.ndarray) -> None:
    exact = copy.copy(judge)  # in float64: a score on the threshold is then on the same side of it
    exact.model = to_double(judge.model)
    exact.model.register_forward_pre_hook(lambda _, given: ([image.double() for image in given[0]],))
    together = exact.find(images[:6], [list(CATEGORIES)] * 6)
    for k in range(6):
        (alone,) = exact.find(images[k : k + 1], [list(CATEGORIES)])
        for category in CATEGORIES:
            ours, theirs = together[k].detections[category], alone.detections[category]
            np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=64 * 32 * ROUNDING)
            np.testing.assert_allclose(ours.scores, theirs.scores, atol=32 * ROUNDING)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    from importlib.resources import files

    source = Path(str(files("bench.detectors") / "weights"))
    shutil.copytree(source, tmp_path / "w")
    path = tmp_path / "w" / "mini_judge.safetensors"
    flip_last_bit(path)
    with pytest.raises(InputError, match="SHA-256"):
        MiniDetector(path)


def test_other_picture_sizes_are_refused(judge: MiniDetector) -> None:
    with pytest.raises(PictureError, match="64×64"):
        judge.find(np.zeros((1, 128, 128, 3), np.uint8), [["circle"]])


def test_a_mask_is_where_its_own_detection_is_more_likely_than_not() -> None:
    found = torch.tensor([[0.0, 0, 4, 2], [1, 1, 3, 3], [2, 0, 4, 2]])
    masks = torch.tensor([0.4, 0.6, 0.51]).reshape(3, 1, 1, 1) * torch.tensor([[1.0, 0.0], [0.8, 1.0]])
    labels = torch.tensor([1 + CATEGORIES.index(name) for name in ("ring", "circle", "ring")])
    output = {"boxes": found, "scores": torch.tensor([0.9, 0.8, 0.7]), "labels": labels, "masks": masks}
    result = _found(output, ["circle", "ring", "arch"])
    assert result.detections["ring"].boxes.tolist() == found[[0, 2]].tolist()
    assert result.detections["circle"].scores.tolist() == pytest.approx([0.8])
    assert not len(result.detections["arch"].boxes)
    asked = [Prompt("ring", np.zeros(4), 1), Prompt("circle", np.zeros(4), 0), Prompt("ring", np.zeros(4), 0)]
    expected = [[[True, False], [False, True]], [[True, False], [False, True]], [[False, False], [False, False]]]
    assert [one.masks.tolist() for one in result.segment(asked)] == [[own] for own in expected]
