"""First stage: the base UNet and its text encoder, on captions alone."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from amdm.mini.scenes import Scene
from amdm.mini.sizes import UNET, build_text_encoder, build_tokenizer
from amdm.mini.training.trainer import Job, Trainer
from amdm.models.text import PhraseEncoder

NO_CAPTION = 0.2


class BaseTrainer(Trainer):
    """Captions with their colours; a share of them empty, as classifier-free guidance needs."""

    name = "base"

    def __init__(self, job: Job, rank: int) -> None:
        super().__init__(job, rank)
        torch.manual_seed(job.seed)
        self.unet = UNet2DConditionModel(**UNET).to(self.device, memory_format=torch.channels_last)
        self.text = PhraseEncoder(build_text_encoder().to(self.device), build_tokenizer())
        self.modules = (self.unet, self.text.text_encoder)

    def training_loss(
        self, step: int, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator
    ) -> tuple[str, torch.Tensor]:
        texts = ["" if rng.random() < NO_CAPTION else scene.caption for scene in scenes]
        context = self.text.encode_fresh(texts)[0]
        return "base", self.loss(scenes, clean, lambda x, t: self.unet(x, t, context).sample)


def train_base(rank: int, job: Job) -> None:
    """Train in this process; the result is the checkpoint ``base.pt``."""
    BaseTrainer(job, rank).run()
