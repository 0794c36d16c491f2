"""GLIGEN (Li et al., 2023): instances placed by gated attention to grounding tokens; diffusers' own parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import GatedSelfAttentionDense
from diffusers.schedulers.scheduling_utils import SchedulerMixin

from amdm.errors import InputError
from amdm.layout import Layout
from amdm.models.control import ControlModel, Denoiser, SampleRequest, guided
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
        for k, layout in enumerate(layouts):
            if not 1 <= len(layout.placed()) <= self.slots:
                what = f"has {len(layout.placed())} instances; {self.name} takes 1 to {self.slots}"
                raise InputError(what, field=f"layouts[{k}]")
        texts = list(dict.fromkeys(one.phrase for layout in layouts for one in layout.placed()))
        pooled = self.text.encode(texts)[1]
        boxes = torch.zeros(len(layouts), self.slots, 4)
        embeddings = torch.zeros(len(layouts), self.slots, pooled.shape[1], device=pooled.device, dtype=pooled.dtype)
        masks = torch.zeros(len(layouts), self.slots)
        for k, layout in enumerate(layouts):
            count = len(layout.placed())
            boxes[k, :count] = torch.tensor([one.box for one in layout.placed()])
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
        """The UNet's prediction, float32: x (B, C, h, w), t () or (B,), context (B, L, D)."""
        dtype = self.unet.dtype
        for fuser in self.fusers:
            fuser.enabled = fuser_on
        try:
            kwargs = {"gligen": dict(conditions)}
            found = self.unet(x.to(dtype), t, context.to(dtype), cross_attention_kwargs=kwargs, return_dict=False)[0]
        finally:
            for fuser in self.fusers:
                fuser.enabled = True
        return found.float()

    def bind(self, request: SampleRequest) -> Denoiser:
        """Captions and grounding, encoded once; the unconditional half has boxes and phrases too, masked out."""
        device, dtype = self.unet.device, self.unet.dtype
        doubled = {name: torch.cat([one, one]) for name, one in self.conditions(request.layouts).items()}
        doubled["masks"][: len(request.layouts)] = 0
        conditions = {name: one.to(device, dtype) for name, one in doubled.items()}
        texts = [request.negative_prompt] * len(request.layouts) + [layout.caption for layout in request.layouts]
        context = self.text.encode(texts)[0].to(device)
        last = int(self.fuser_beta * request.num_inference_steps)

        def denoise(x: torch.Tensor, t: float, i: int) -> torch.Tensor:
            timestep = torch.tensor(t, device=x.device)
            prediction = self.predict(torch.cat([x, x]), timestep, context, conditions, fuser_on=i < last)
            return guided(prediction, request.guidance_scale)

        return denoise
