"""Who is told what: each property of a scene is changed alone, and what reaches each model is compared."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from amdm.mini.models import MiniModels
from amdm.mini.scenes import Scene, SceneAction, SceneObject
from amdm.mini.training.combined import TOLD, TURNS, CombinedTrainer
from amdm.mini.vocabulary import caption

SCENE = Scene(
    (SceneObject("red", "circle", (0.1, 0.1, 0.4, 0.4)), SceneObject("blue", "cross", (0.6, 0.5, 0.9, 0.9))),
    (SceneAction(0, "pushes", 1),),
    "dots",
)


class Spoken(Scene):
    """A scene whose caption stays what it was."""

    @property
    def caption(self) -> str:
        """The caption of :data:`SCENE`."""
        return SCENE.caption


def changed(**first: Any) -> tuple[SceneObject, ...]:
    """The objects, the first one changed."""
    return (replace(SCENE.objects[0], **first), SCENE.objects[1])


CHANGES: dict[str, Scene] = {
    "places": Spoken(changed(box=(0.15, 0.05, 0.45, 0.35)), SCENE.actions, "dots"),
    "colours": Spoken(changed(colour="green"), SCENE.actions, "dots"),
    "categories": Spoken(changed(category="ring"), SCENE.actions, "dots"),
    "actions": Spoken(SCENE.objects, (SceneAction(1, "pushes", 0),), "dots"),
    "style": Spoken(SCENE.objects, SCENE.actions, "rings"),
}


@pytest.fixture(scope="module")
def trainer() -> CombinedTrainer:
    """A trainer with fresh models, that records instead of training."""
    torch.manual_seed(0)
    made = CombinedTrainer.__new__(CombinedTrainer)
    made.models = MiniModels.fresh().eval()
    made.job, made.device = SimpleNamespace(seed=0), torch.device("cpu")
    return made


def told(trainer: CombinedTrainer, model: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """All tensors that reach the model besides latents and timestep, in two rows of one scene."""
    found: list[torch.Tensor] = []

    def record(x: object, t: object, *conditions: Any) -> torch.Tensor:
        for one in conditions:
            values = vars(one).values() if hasattr(one, "__dict__") and not isinstance(one, torch.Tensor) else [one]
            found.extend(value for value in values if isinstance(value, torch.Tensor))
        return torch.zeros(())

    monkeypatch.setattr(getattr(trainer.models, model), "predict", record)
    monkeypatch.setattr(trainer, "loss", lambda scenes, clean, predict: predict(clean, None), raising=False)
    torch.manual_seed(5)
    getattr(trainer, f"_{model}")([scene, scene], torch.zeros(2, 8, 16, 16), np.random.default_rng(11))
    monkeypatch.undo()
    return found


@pytest.mark.parametrize("model", TOLD)
def test_a_model_is_told_what_the_table_says_and_no_more(
    trainer: CombinedTrainer, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told(trainer, model, SCENE, monkeypatch)
    assert before and all(
        torch.equal(a, b) for a, b in zip(before, told(trainer, model, SCENE, monkeypatch), strict=True)
    )
    for what, scene in CHANGES.items():
        after = told(trainer, model, scene, monkeypatch)
        same = len(before) == len(after) and all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert same == (what not in TOLD[model]), what


def test_the_model_card_shows_the_table() -> None:
    card = (files("amdm.mini") / "MODEL_CARD.md").read_text(encoding="utf-8")
    for model, told_of in TOLD.items():
        assert f"| {model} | {', '.join(told_of)} |" in card


def test_every_model_reads_the_caption_and_has_its_turn() -> None:
    assert all("caption" in one for one in TOLD.values()) and set(TURNS) == set(TOLD)
    assert caption([one.label for one in SCENE.objects]) == SCENE.caption
