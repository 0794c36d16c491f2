"""Third stage: InteractDiffusion's fusers and position net alone, with noise on the embeddings of its phrases.

At full size InteractDiffusion reads phrases through CLIP, whose embeddings of "a cross" and "a red cross" lie close
together. The mini text tower knows only what it was trained on, and a phrase of a kind that InteractDiffusion never saw
lies anywhere. Noise makes the position net read what it needs of an embedding and no more. Phrases stay category-only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from amdm.mini.scenes import Scene
from amdm.mini.train_controls import ControlTrainer
from amdm.mini.trainer import Job
from amdm.models.interactdiffusion import InteractionConditions

NOISE = 1.0
"""Largest standard deviation of the noise in each dimension; embeddings have a norm of about √dim."""


class GroundingTrainer(ControlTrainer):
    """Base, text encoder and MIGC stay as the second stage left them."""

    name = "grounding"

    def __init__(self, job: Job, rank: int) -> None:
        super().__init__(job, rank)
        self._start_from(job, "controls", self.modules)
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
