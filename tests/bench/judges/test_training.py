"""Training of the judges: what they are shown, that it goes on where it stopped, and how often they are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from amdm.mini.marks import strip
from amdm.mini.scenes import Scene, SceneAction, SceneObject
from amdm.mini.sizes import build_vae
from amdm.mini.training.softening import roughened, softened
from amdm.mini.vocabulary import STYLES
from amdm.mini.weights_folder import WEIGHTS
from bench.judges import training
from bench.judges.action import ActionJudge
from bench.judges.style import STYLE_WEIGHTS, StyleJudge
from bench.judges.training import idle_pairs, train_judges
from scripts.judge_accuracy import ACTION_CLASSES, CONDITIONS, accuracy, confusion_tables, held_out_case, report

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


ROOT = Path(__file__).resolve().parents[3]
LEAST = 0.97
Tables = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def few() -> Tables:
    vae = build_vae().requires_grad_(False).eval()
    vae.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS / "vae.safetensors").items()})
    return confusion_tables(ActionJudge.load(), StyleJudge.load(), vae, 200)


@pytest.fixture(scope="module")
def stored() -> Tables:
    return tuple(pd.read_csv(ROOT / "reports" / "judges" / f"{name}.csv") for name in ("action", "style"))


def test_both_are_right_on_renderings(few: Tables) -> None:
    for table in few:
        by_condition = accuracy(table, ["pictures"]).set_index("pictures")
        assert by_condition["right"].min() >= LEAST, by_condition
        assert set(by_condition.index) >= set(CONDITIONS) and by_condition["n"].min() >= 200


def test_the_stored_tables_hold_the_bounds(stored: Tables) -> None:
    actions, styles = stored
    assert set(actions["truth"]) == set(ACTION_CLASSES) and set(styles["truth"]) == set(STYLES)
    for table, kind in ((actions, "pair"), (styles, "mark")):
        found = accuracy(table, ["pictures", kind])
        assert found["right"].min() >= LEAST and found["n"].min() >= 1500, found
    pictures = styles.groupby(["pictures", "mark"])["n"].sum()
    assert pictures.min() >= 2000


def test_the_stored_page_is_of_the_stored_tables(stored: Tables) -> None:
    assert (ROOT / "reports" / "judges" / "accuracy.md").read_text(encoding="utf-8") == report(*stored)


def test_a_wrong_judge_is_told(few: Tables) -> None:
    actions = few[0].replace({"found": {"pushes": "pushes reversed", "pushes reversed": "pushes"}})
    found = accuracy(actions, ["truth"]).set_index("truth")["right"]
    assert found[["pushes", "pushes reversed"]].max() <= 0.05 and found["none"] >= LEAST


def test_a_case_is_the_same_each_time() -> None:
    one, again, other = held_out_case(3), held_out_case(3), held_out_case(4)
    assert (one.image == again.image).all() and one.scene == again.scene and one.idle == again.idle
    assert other.scene != one.scene and one.scene.actions and (one.image != one.erased).any()
