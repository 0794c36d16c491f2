"""Fourth stage: InteractDiffusion's fusers and position net alone, with noise on the embeddings of its phrases.

It reads the text tower of the third stage. Phrases stay category-only; noise makes the position net read of an
embedding what tells categories apart and no more, as phrases of a kind that it never saw will be put before it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from amdm.mini.scenes import Scene
from amdm.mini.train_controls import ControlTrainer, load_average
from amdm.mini.train_text import trained_tower
from amdm.mini.trainer import Job
from amdm.models.interactdiffusion import InteractionConditions

NOISE = 0.5
"""Largest standard deviation of the noise in each dimension; embeddings have a norm of about √dim."""


class GroundingTrainer(ControlTrainer):
    """Base and MIGC stay as the second stage left them, the text encoder as the third."""

    name = "grounding"

    def __init__(self, job: Job, rank: int) -> None:
        super().__init__(job, rank)
        load_average(job, "controls", self.modules)
        self.models.text.text_encoder.load_state_dict(trained_tower(job))
        for parameter in self.models.parameters():
            parameter.requires_grad_(False)
        self.modules = (self.models.interactdiffusion.control_modules(),)
        self.modules[0].requires_grad_(True)

    def named_loss(
        self, step: int, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator
    ) -> tuple[str, torch.Tensor]:
        return "interactdiffusion", self._interactdiffusion(scenes, clean, rng)

    def _grounding(self, scenes: list[Scene]) -> InteractionConditions:
        conditions = super()._grounding(scenes)
        clean = conditions.subject_embeddings
        size = NOISE * torch.rand(len(scenes), 1, 1, device=clean.device)
        # An instance is subject and object of its own interaction: one phrase, one noise.
        noisy = clean + size * torch.randn_like(clean)
        return replace(conditions, subject_embeddings=noisy, object_embeddings=noisy)


def train_grounding(rank: int, job: Job) -> None:
    """Train in this process; rank 0 writes the averaged weights of all models to ``weights/`` of the folder."""
    trainer = GroundingTrainer(job, rank)
    trainer.run()
    if rank == 0:
        trainer.models.vae.load_state_dict(trainer.vae.state_dict())
        trainer.models.save(job.folder / "weights")
