"""Second stage: InteractDiffusion and MIGC on the base of the first stage, which goes on training with them.

They take turns. InteractDiffusion sees category-only phrases (its own data set, HICO-DET, has no colours); MIGC sees
coloured phrases, and in some of its turns the base alone sees captions, because MIGC's unconditional half is the base.
All read the caption with its colours. Rows lose their conditions at random, as classifier-free guidance needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from amdm.layout import Layout
from amdm.mini.models import MiniModels
from amdm.mini.renderer import SIZE
from amdm.mini.scenes import Scene
from amdm.mini.training.tools import stage_checkpoint
from amdm.mini.training.trainer import Job, Trainer, distinct_parameters
from amdm.models.interactdiffusion import InteractionConditions

NO_CAPTION = 0.2  # share of rows whose caption is empty
NO_GROUNDING = 0.15  # share of InteractDiffusion's rows without grounding, half of them without caption too
BASE_ONLY = 0.15  # share of MIGC's turns that train the base alone


class ControlTrainer(Trainer):
    """All parameters move: base, text encoder, InteractDiffusion's fusers, MIGC's modules."""

    name = "controls"

    def __init__(self, job: Job, rank: int) -> None:
        super().__init__(job, rank)
        torch.manual_seed(job.seed)
        self.models = MiniModels.fresh().to(self.device)
        self.modules = modules(self.models)
        self.begin()

    def begin(self) -> None:
        """Put in what the stages before left, and choose what is trained."""
        load_average(self.job, "base", self.modules[:2])

    def training_loss(
        self, step: int, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator
    ) -> tuple[str, torch.Tensor]:
        if step % 2:
            return "interactdiffusion", self._interactdiffusion(scenes, clean, rng)
        if np.random.default_rng([self.job.seed, step]).random() < BASE_ONLY:
            return "base", self._base(scenes, clean, rng)
        return "migc", self._migc(scenes, clean, rng)

    def _interactdiffusion(self, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        model = self.models.interactdiffusion
        bare = rng.random(len(scenes)) < NO_GROUNDING
        context = self._captions(scenes, rng.random(len(scenes)) < np.where(bare, 0.5, NO_CAPTION))
        conditions = self._grounding(scenes).without(torch.from_numpy(bare).to(self.device))
        return self.loss(scenes, clean, lambda x, t: model.predict(x, t, context, conditions))

    def _grounding(self, scenes: list[Scene]) -> InteractionConditions:
        model = self.models.interactdiffusion
        return model.conditions([scene.category_only() for scene in scenes], encode=model.text.encode_fresh)

    def _migc(self, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        model = self.models.migc
        dropped = rng.random(len(scenes)) < NO_CAPTION
        layouts = [
            Layout("" if drop else scene.caption, scene.layout().instances)  # MIGC has no place for an action
            for scene, drop in zip(scenes, dropped, strict=True)
        ]
        size = (clean.shape[-2], clean.shape[-1])
        conditions = model.conditions(layouts, (SIZE, SIZE), size, encode=model.text.encode_fresh)
        permutations = {
            layer: torch.stack([torch.randperm(model.slots) for _ in scenes]).to(self.device) for layer in model.layers
        }
        return self.loss(scenes, clean, lambda x, t: model.predict(x, t, conditions, permutations))

    def _base(self, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        context = self._captions(scenes, rng.random(len(scenes)) < 0.5)
        return self.loss(scenes, clean, lambda x, t: self.models.base.predict(x, t, context))

    def _captions(self, scenes: list[Scene], dropped: np.ndarray) -> torch.Tensor:
        texts = ["" if drop else scene.caption for scene, drop in zip(scenes, dropped, strict=True)]
        return self.models.text.encode_fresh(texts)[0]


def modules(models: MiniModels) -> tuple[torch.nn.Module, ...]:
    """Base, text encoder, InteractDiffusion, MIGC: the order of their parameters in the checkpoints."""
    return (models.base.unet, models.text.text_encoder, models.interactdiffusion.unet, models.migc.unet)


def load_average(job: Job, stage: str, modules: Sequence[torch.nn.Module]) -> None:
    """Put the averaged weights that a stage left into modules.

    Raises:
        InputError: the stage was not trained.
    """
    state = stage_checkpoint(job.folder, stage)
    with torch.no_grad():
        for parameter, value in zip(distinct_parameters(modules), state["average"], strict=True):
            parameter.copy_(value)


def train_controls(rank: int, job: Job) -> None:
    """Train in this process; the result is the checkpoint ``controls.pt``."""
    ControlTrainer(job, rank).run()
