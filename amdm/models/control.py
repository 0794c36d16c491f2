"""The one protocol that all models share: bind conditions once, then answer (x, t, i) → guided prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from PIL import Image
from torch import nn

from amdm.errors import InputError
from amdm.layout import Layout
from amdm.models.text import PhraseEncoder


class Denoiser(Protocol):
    """A model with its conditions bound.

    Called with the latents ``x`` (B, C, h, w), float32, the timestep ``t`` (a training timestep; a fraction of one
    with some schedulers) and the step index ``i`` (0 … T−1); returns the guided prediction, float32, of x's shape, in
    the model's own prediction type. One call is one evaluation: both halves of classifier-free guidance.
    """

    def __call__(self, x: torch.Tensor, t: float, i: int) -> torch.Tensor: ...


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
        styles: a style image for each sample, RGB.
    """

    layouts: tuple[Layout, ...]
    keys: tuple[str, ...]
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str
    height: int
    width: int
    styles: tuple[Image.Image, ...] | None = None


Conditioning = Literal["caption", "instances", "interactions", "style"]


class ControlModel(ABC):
    """A UNet with its conditioning. Subclasses know nothing of each other.

    reads: what of a request the model obeys. A baseline says which of the rest it ignores on purpose.
    """

    name: str
    reads: ClassVar[frozenset[Conditioning]]
    ignores_on_purpose: ClassVar[frozenset[Conditioning]] = frozenset()

    def __init__(self, unet: UNet2DConditionModel, text: PhraseEncoder, scheduler: SchedulerMixin) -> None:
        self.unet, self.text, self.scheduler = unet, text, scheduler

    def modules(self) -> dict[str, nn.Module]:
        """The networks that the model consists of, by name; several models may hold the same one."""
        return {"unet": self.unet, "text_encoder": self.text.text_encoder}

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


def check_conditioning(
    models: Sequence[ControlModel], layouts: Sequence[Layout], styles: Sequence[Image.Image] | None
) -> None:
    """Refuse what no model of an aggregation would read, before any of them runs.

    Raises:
        InputError: naming the condition that would be ignored, or the style image that is missing.
    """
    given: list[tuple[Conditioning, bool]] = [
        ("instances", any(layout.instances for layout in layouts)),
        ("interactions", any(layout.interactions for layout in layouts)),
        ("style", styles is not None),
    ]
    names = " + ".join(model.name for model in models)
    for condition, present in given:
        if present and not any(condition in model.reads | model.ignores_on_purpose for model in models):
            raise InputError(f"{names} would ignore it", field=condition)
    if any("style" in model.reads for model in models):
        if styles is None:
            raise InputError(f"{names} needs a style image", field="style")
        if len(styles) != len(layouts):
            raise InputError(f"there are {len(styles)} style images for {len(layouts)} layouts", field="style")
