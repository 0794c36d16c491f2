"""Training of the judges: what they are shown, and that it goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from amdm.mini.marks import strip
from amdm.mini.scenes import Scene, SceneAction, SceneObject
from amdm.mini.sizes import build_vae
from amdm.mini.training.softening import roughened, softened
from bench.judges import training
from bench.judges.action import ActionJudge
from bench.judges.style import STYLE_WEIGHTS, StyleJudge
from bench.judges.training import idle_pairs, train_judges

BOXES = ((0.0, 0.4, 0.2, 0.6), (0.4, 0.4, 0.6, 0.6), (0.8, 0.4, 1.0, 0.6))
OBJECTS = tuple(SceneObject("red", "square", box) for box in BOXES)


def test_idle_pairs_have_no_action_and_do_not_look_as_if() -> None:
    rng = np.random.default_rng(0)
    assert len(idle_pairs(Scene(OBJECTS), rng, 99)) == 6
    scene = Scene(OBJECTS, (SceneAction(0, "joins", 1),))
    found = idle_pairs(scene, rng, 99)
    # The way from the first box to the third leads along the mark between the first and the second.
    assert sorted(found) == sorted([(BOXES[1], BOXES[2]), (BOXES[2], BOXES[1])])
    assert (strip(BOXES[0], BOXES[2]) & strip(BOXES[0], BOXES[1])).any()
    assert len(idle_pairs(Scene(OBJECTS), rng, 2)) == 2


def test_a_directed_action_has_a_class_for_each_end() -> None:
    kinds = set()
    for seed in range(20):
        scene = Scene(OBJECTS[:2], (SceneAction(0, "pushes", 1),))
        ((ends, kind),) = training._examples(scene, np.random.default_rng(seed))
        kinds.add((ends == (BOXES[0], BOXES[1]), training.CLASSES[kind]))
    assert kinds == {(True, ("pushes", False)), (False, ("pushes", True))}


def test_training_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "BATCH", 4)
    vae = build_vae().requires_grad_(False)
    monkeypatch.setattr(training, "_EVERY", 1)
    saved, save = [], training.save_checkpoint

    def dies(path: Path, state: dict[str, object]) -> None:
        save(path, state)
        saved.append(state)
        if len(saved) == 1:
            raise KeyboardInterrupt

    train_judges(tmp_path / "whole", tmp_path / "a", vae, steps=3)
    monkeypatch.setattr(training, "save_checkpoint", dies)
    with pytest.raises(KeyboardInterrupt):
        train_judges(tmp_path / "torn", tmp_path / "b", vae, steps=3)
    train_judges(tmp_path / "torn", tmp_path / "b", vae, steps=3)
    for judge, name in ((ActionJudge, "action"), (StyleJudge, STYLE_WEIGHTS.stem)):
        one, other = (judge.load(tmp_path / part / f"{name}.safetensors") for part in ("a", "b"))
        assert one.revision == other.revision


def test_softened_pictures_went_through_the_autoencoder() -> None:
    rng = np.random.default_rng(0)
    images = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    vae = build_vae().requires_grad_(False)
    plain = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(softened(images, vae, rng, 0.0), plain, atol=1e-6, rtol=0)
    changed = (softened(images, vae, rng, 0.5) - plain).abs().amax((1, 2, 3)) > 1e-3
    assert 0 < changed.sum() < 8
    assert np.abs(roughened(images[0], rng).astype(int) - images[0]).max() > 0
