"""Last stage: all models on the combined world, each told what is its own business and no more.

Every picture has places, colours, actions and a style. :data:`TOLD` says which model is told what; it is what the
model card prints, and what a test compares with the conditions that reach the models.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from amdm.mini.scene_stream import combined_scene, style_picture
from amdm.mini.scenes import Scene
from amdm.mini.training.controls import NO_CAPTION, ControlTrainer, load_average
from amdm.mini.training.grounding import noisy_phrases
from amdm.mini.training.images import trained_image_tower
from amdm.mini.training.text import trained_tower
from amdm.mini.training.trainer import Job
from amdm.models.interactdiffusion import InteractionConditions

TOLD: dict[str, tuple[str, ...]] = {
    "base": ("caption",),
    "interactdiffusion": ("caption", "places", "categories", "actions"),
    "migc": ("caption", "places", "categories", "colours"),
    "ip_adapter": ("caption", "style"),
}
"""Model → what it is told of a scene. The caption names categories and colours, neither places, actions nor style."""

TURNS: tuple[str, ...] = (
    "interactdiffusion", "ip_adapter", "interactdiffusion", "migc", "interactdiffusion",
    "ip_adapter", "interactdiffusion", "migc", "interactdiffusion", "base",
)  # fmt: skip
"""Whose turn it is, step by step."""

NO_STYLE = 0.15  # share of IP-Adapter's rows with the zero embedding, as classifier-free guidance needs


class CombinedTrainer(ControlTrainer):
    """Base and controls go on from the stages before; text tower, vision tower and autoencoder stay."""

    name = "combined"
    draw = staticmethod(combined_scene)

    def begin(self) -> None:
        """The stages before; all but the text tower and the vision tower is trained."""
        models, job = self.models, self.job
        load_average(job, "controls", self.modules)
        load_average(job, "grounding", (models.interactdiffusion.control_modules(),))
        models.text.text_encoder.load_state_dict(trained_tower(job))
        models.ip_adapter.image_encoder.load_state_dict(trained_image_tower(job))
        models.text.text_encoder.requires_grad_(False)
        models.ip_adapter.image_encoder.requires_grad_(False)
        controls = (models.interactdiffusion, models.migc, models.ip_adapter)
        self.modules = (models.base.unet, *(model.unet for model in controls))

    def training_loss(
        self, step: int, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator
    ) -> tuple[str, torch.Tensor]:
        turn = TURNS[step % len(TURNS)]
        return turn, getattr(self, f"_{turn}")(scenes, clean, rng)

    def _grounding(self, scenes: list[Scene]) -> InteractionConditions:
        return noisy_phrases(super()._grounding(scenes))

    def _ip_adapter(self, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        model = self.models.ip_adapter
        context = self._captions(scenes, rng.random(len(scenes)) < NO_CAPTION)
        pictures = [Image.fromarray(style_picture(scene.style, rng)) for scene in scenes]
        embeddings = model.image_embeddings(pictures).to(self.device)
        bare = torch.from_numpy(rng.random(len(scenes)) < NO_STYLE).to(self.device)
        images = embeddings.masked_fill(bare[:, None], 0.0).unsqueeze(1)
        return self.loss(scenes, clean, lambda x, t: model.predict(x, t, context, images))


def train_combined(rank: int, job: Job) -> None:
    """Train in this process; rank 0 writes the averaged weights of all models to ``weights/`` of the folder."""
    trainer = CombinedTrainer(job, rank)
    trainer.run()
    if rank == 0:
        trainer.models.vae.load_state_dict(trainer.vae.state_dict())
        trainer.models.save(job.folder / "weights")
