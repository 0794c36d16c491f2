"""GLIGEN (Li et al., 2023): instances placed by gated attention to grounding tokens; diffusers' own parts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import GatedSelfAttentionDense
from diffusers.schedulers.scheduling_utils import SchedulerMixin

from amdm.errors import InputError
from amdm.layout import Layout
from amdm.models.control import ControlModel, GuidedDenoiser, SampleRequest, check_slots
from amdm.models.spec import ModelSpec, PublicWeights
from amdm.models.text import PhraseEncoder


class GLIGEN(ControlModel):
    """A Stable Diffusion UNet with gated attention to a token an instance (phrase and box).

    Args:
        unet: built with ``attention_type="gated"``. slots: instances a picture at most.
        fuser_beta: share of the steps in which the fusers are on (scheduled sampling).
    """

    name = "gligen"
    reads = frozenset({"caption", "instances"})

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text: PhraseEncoder,
        scheduler: SchedulerMixin,
        *,
        slots: int = 30,
        fuser_beta: float = 0.3,
    ) -> None:
        super().__init__(unet, text, scheduler)
        self.slots, self.fuser_beta = slots, fuser_beta
        self.fusers = [module for module in unet.modules() if isinstance(module, GatedSelfAttentionDense)]
        if not self.fusers:
            raise InputError('the UNet has no fusers; build it with attention_type="gated"', field="unet")

    def conditions(self, layouts: Sequence[Layout]) -> dict[str, torch.Tensor]:
        """``boxes`` (B, slots, 4), ``positive_embeddings`` (B, slots, D) and ``masks`` (B, slots), 0 in unused slots.

        Raises:
            InputError: a layout without instances, or with more than the model's slots.
        """
        check_slots(self.name, self.slots, (len(layout.placed()) for layout in layouts))
        texts = list(dict.fromkeys(one.phrase for layout in layouts for one in layout.placed()))
        pooled = self.text.encode(texts)[1]
        kind: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
        boxes = torch.zeros(len(layouts), self.slots, 4, **kind)
        embeddings = torch.zeros(len(layouts), self.slots, pooled.shape[1], device=pooled.device, dtype=pooled.dtype)
        masks = torch.zeros(len(layouts), self.slots, **kind)
        for k, layout in enumerate(layouts):
            count = len(layout.placed())
            boxes[k, :count] = torch.tensor([one.box for one in layout.placed()], **kind)
            embeddings[k, :count] = pooled[[texts.index(one.phrase) for one in layout.placed()]]
            masks[k, :count] = 1
        return {"boxes": boxes, "positive_embeddings": embeddings, "masks": masks}

    def predict(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        context: torch.Tensor,
        conditions: dict[str, torch.Tensor],
        fuser_on: bool = True,
    ) -> torch.Tensor:
        """The UNet's prediction, float32: x (B, C, h, w), t () or (B,), context (B, L, D).

        ``fuser_on=False`` leaves the grounding out, as scheduled sampling does in its later steps.
        """
        dtype = self.unet.dtype
        kwargs = {"gligen": dict(conditions)} if fuser_on else None  # without grounding the UNet passes its fusers by
        found = self.unet(x.to(dtype), t, context.to(dtype), cross_attention_kwargs=kwargs, return_dict=False)[0]
        return found.float()

    def bind(self, request: SampleRequest) -> GuidedDenoiser:
        """Captions and grounding, encoded once; the unconditional half has boxes and phrases too, masked out."""
        model = copy.copy(self)
        device, dtype = self.unet.device, self.unet.dtype
        doubled = {name: torch.cat([one, one]) for name, one in self.conditions(request.layouts).items()}
        doubled["masks"][: len(request.layouts)] = 0
        conditions = {name: one.to(device, dtype) for name, one in doubled.items()}
        context = self.text.encode(request.captions())[0].to(device)
        last = int(self.fuser_beta * request.num_inference_steps)

        def predict(x: torch.Tensor, t: torch.Tensor, i: int) -> torch.Tensor:
            return model.predict(x, t, context, conditions, fuser_on=i < last)

        return GuidedDenoiser(predict, request.guidance_scale)


SPEC = ModelSpec(GLIGEN, PublicWeights("gligen-unet"), {"attention_type": "gated"})
