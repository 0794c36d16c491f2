"""The one protocol that all models share: bind conditions once, then answer (x, t, i) → guided prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin

from amdm.layout import Layout
from amdm.models.text import PhraseEncoder


class Denoiser(Protocol):
    """A model with its conditions bound.

    Called with the latents ``x`` (B, C, h, w), float32, the timestep ``t`` (a training timestep, int) and the
    step index ``i`` (0 … T−1); returns the guided prediction, float32, of x's shape, in the model's own
    prediction type. One call is one evaluation: both halves of classifier-free guidance.
    """

    def __call__(self, x: torch.Tensor, t: int, i: int) -> torch.Tensor: ...


@dataclass(frozen=True)
class SampleRequest:
    """What a batch is to be sampled with; one entry a sample in ``layouts`` and ``keys``.

    Args:
        layouts: B layouts; they may have different numbers of instances.
        keys: B texts from which each sample's random numbers derive (see :mod:`amdm.noise`).
        num_inference_steps: T.
        guidance_scale: classifier-free guidance; 1 still evaluates both halves.
        negative_prompt: the caption of the unconditional half.
        height, width: pixels.
    """

    layouts: tuple[Layout, ...]
    keys: tuple[str, ...]
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str
    height: int
    width: int


class ControlModel(ABC):
    """A UNet with its conditioning. Subclasses know nothing of each other."""

    name: str

    def __init__(self, unet: UNet2DConditionModel, text: PhraseEncoder, scheduler: SchedulerMixin) -> None:
        self.unet, self.text, self.scheduler = unet, text, scheduler

    @abstractmethod
    def bind(self, request: SampleRequest) -> Denoiser:
        """Encode the conditions once. Raises InputError for conditions that the model cannot hold or would ignore."""


def guided(prediction: torch.Tensor, scale: float) -> torch.Tensor:
    """Classifier-free guidance on a doubled batch [uncond, cond] (2B, C, h, w) → (B, C, h, w), in float32."""
    uncond, cond = prediction.float().chunk(2)
    return uncond + scale * (cond - uncond)


def repeat_prompt(prompt: str, times: int) -> Sequence[str]:
    """The unconditional half reads one text for all samples."""
    return [prompt] * times
