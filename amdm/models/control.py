"""The one protocol that all models share: bind conditions once, then answer (x, t, i) → guided prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
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
from amdm.plain_number import plain


class Denoiser(Protocol):
    """A model with its conditions bound.

    Called with the latents ``x`` (B, C, h, w), float32, the timestep ``t`` (a training timestep; a fraction of one
    with some schedulers) and the step index ``i`` (0 … T−1); returns the guided prediction, float32, of x's shape, in
    the model's own prediction type. One call is one evaluation: both halves of classifier-free guidance.
    """

    def __call__(self, x: torch.Tensor, t: float, i: int) -> torch.Tensor: ...


@dataclass(frozen=True)
class GuidedDenoiser:
    """A :class:`Denoiser` whose two halves can be had apart, before guidance combines them.

    Args:
        predict: the network on a doubled batch: (x (2B, C, h, w), t (), i) → (2B, C, h, w), unconditional rows first.
        guidance_scale: of the combination.
    """

    predict: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
    guidance_scale: float

    def __call__(self, x: torch.Tensor, t: float, i: int) -> torch.Tensor:
        """The guided prediction, float32, of x's shape."""
        return guided(*self.halves(x, t, i), self.guidance_scale)

    def halves(self, x: torch.Tensor, t: float, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(unconditional, conditional) predictions, each float32 of x's shape: one evaluation."""
        both = self.predict(torch.cat([x, x]), torch.tensor(t, device=x.device), i)
        uncond, cond = both.float().chunk(2)
        return uncond, cond


@dataclass(frozen=True)
class SampleRequest:
    """What a batch is to be sampled with; one entry a sample in ``layouts`` and ``keys``.

    Args:
        layouts: B layouts; they may have different numbers of instances.
        keys: B texts from which each sample's random numbers derive (see :mod:`amdm.noise`).
        num_inference_steps: T.
        guidance_scale: classifier-free guidance; 1 still evaluates both halves.
        negative_prompt: the caption of the unconditional half; one for all samples, or one a sample.
        height, width: pixels.
        styles: a style image for each sample, RGB.
    """

    layouts: tuple[Layout, ...]
    keys: tuple[str, ...]
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str | tuple[str, ...]
    height: int
    width: int
    styles: tuple[Image.Image, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("num_inference_steps", "guidance_scale", "height", "width"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    @property
    def negative_prompts(self) -> tuple[str, ...]:
        """One for each sample. Raises InputError where there are fewer or more."""
        if isinstance(self.negative_prompt, str):
            return (self.negative_prompt,) * len(self.layouts)
        if len(self.negative_prompt) != len(self.layouts):
            what = f"there are {len(self.negative_prompt)} for {len(self.layouts)} layouts"
            raise InputError(what, field="negative_prompt")
        return self.negative_prompt

    def captions(self) -> list[str]:
        """The texts of both halves of classifier-free guidance, the unconditional one first."""
        return [*self.negative_prompts, *(layout.caption for layout in self.layouts)]


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

    def adds(self, parameter: str) -> bool:
        """Whether a parameter of the UNet, by name, is one that the model adds to its base."""
        return False

    def control_state_dict(self) -> dict[str, torch.Tensor]:
        """What the model adds to its base, under the names that its weight file has."""
        return {name: value for name, value in self.unet.state_dict().items() if self.adds(name)}

    def load_control_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Put in what :meth:`control_state_dict` gave; on the meta device the very tensors, else copies.

        Raises:
            KeyError: naming keys left over or missing. RuntimeError: a tensor has another shape.
        """
        expected = self.control_state_dict()
        if unfit := sorted(set(expected) ^ set(state)):
            raise KeyError(f"keys missing or left over: {', '.join(unfit[:5])}")
        self.unet.load_state_dict(state, strict=False, assign=any(value.is_meta for value in expected.values()))

    @abstractmethod
    def bind(self, request: SampleRequest) -> GuidedDenoiser:
        """Encode the conditions once. Raises InputError for conditions that the model cannot hold or would ignore.

        The denoiser has the model's options as they are now, and may be called from any thread: what belongs to a call
        is handed to the layers with it, never written on them.
        """


def guided(uncond: torch.Tensor, cond: torch.Tensor, scale: float) -> torch.Tensor:
    """Classifier-free guidance: two predictions (B, C, h, w) → one."""
    return uncond + scale * (cond - uncond)


def check_slots(model: str, slots: int, counts: Iterable[int], what: str = "instances") -> None:
    """Refuse a layout without anything to ground, or with more than ``model`` has ``slots`` for.

    Args:
        counts: of each layout, how many things ground it.

    Raises:
        InputError: naming the first such layout.
    """
    for k, count in enumerate(counts):
        if not 1 <= count <= slots:
            raise InputError(f"has {count} {what}; {model} takes 1 to {slots}", field=f"layouts[{k}]")


def check_conditioning(
    models: Sequence[ControlModel],
    layouts: Sequence[Layout],
    styles: Sequence[Image.Image] | None,
    ignored: Collection[str] = (),
) -> None:
    """Refuse what no model of an aggregation would read, before any of them runs.

    Args:
        ignored: conditions that may be there on purpose.

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
        read = any(condition in model.reads | model.ignores_on_purpose for model in models)
        if present and not read and condition not in ignored:
            raise InputError(f"{names} would ignore it", field=condition)
    if any("style" in model.reads for model in models):
        if styles is None:
            raise InputError(f"{names} needs a style image", field="style")
        if len(styles) != len(layouts):
            raise InputError(f"there are {len(styles)} style images for {len(layouts)} layouts", field="style")
