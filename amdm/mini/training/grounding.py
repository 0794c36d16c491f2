"""Fourth stage: InteractDiffusion's fusers and position net alone, with noise on the embeddings of its phrases.

It reads the text tower of the third stage. Phrases stay category-only; noise makes the position net read of an
embedding what tells categories apart and no more, as phrases of a kind that it never saw will be put before it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from amdm.mini.scenes import Scene
from amdm.mini.training.controls import ControlTrainer, load_average
from amdm.mini.training.text import trained_tower
from amdm.mini.training.trainer import Job
from amdm.models.interactdiffusion import InteractionConditions

NOISE = 0.5
"""Largest standard deviation of the noise in each dimension; embeddings have a norm of about √dim."""


class GroundingTrainer(ControlTrainer):
    """Base and MIGC stay as the second stage left them, the text encoder as the third."""

    name = "grounding"

    def begin(self) -> None:
        """The stages before; only what InteractDiffusion adds to its base is trained."""
        load_average(self.job, "controls", self.modules)
        self.models.text.text_encoder.load_state_dict(trained_tower(self.job))
        for parameter in self.models.parameters():
            parameter.requires_grad_(False)
        self.modules = (self.models.interactdiffusion.control_modules(),)
        self.modules[0].requires_grad_(True)

    def training_loss(
        self, step: int, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator
    ) -> tuple[str, torch.Tensor]:
        return "interactdiffusion", self._interactdiffusion(scenes, clean, rng)

    def _grounding(self, scenes: list[Scene]) -> InteractionConditions:
        return noisy_phrases(super()._grounding(scenes))


def noisy_phrases(conditions: InteractionConditions) -> InteractionConditions:
    """The same with noise on the embeddings of subjects and objects, of a size of its own for each picture."""
    subjects, objects = conditions.subject_embeddings, conditions.object_embeddings
    size = NOISE * torch.rand(len(subjects), 1, 1, device=subjects.device)
    noise = torch.randn_like(subjects)
    # An instance is mostly subject and object of its own interaction: one phrase, one noise.
    return replace(conditions, subject_embeddings=subjects + size * noise, object_embeddings=objects + size * noise)


def train_grounding(rank: int, job: Job) -> None:
    """Train in this process; the result is the checkpoint ``grounding.pt``."""
    GroundingTrainer(job, rank).run()
