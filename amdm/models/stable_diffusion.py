"""Plain Stable Diffusion: the caption alone. The baseline, and MIGC's unconditional half."""

from __future__ import annotations

import copy
from operator import attrgetter

import torch

from amdm.models.control import ControlModel, GuidedDenoiser, SampleRequest
from amdm.models.spec import ModelSpec, PublicWeights


class StableDiffusion(ControlModel):
    """Reads the caption; instances and interactions are ignored on purpose (it shows what a caption alone gives)."""

    name = "stable_diffusion"
    reads = frozenset({"caption"})
    ignores_on_purpose = frozenset({"instances", "interactions"})

    def predict(self, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The UNet's prediction, float32: x (B, C, h, w), t () or (B,), context (B, L, D) → (B, C, h, w)."""
        dtype = self.unet.dtype
        return self.unet(x.to(dtype), t, context.to(dtype), return_dict=False)[0].float()

    def bind(self, request: SampleRequest) -> GuidedDenoiser:
        """Captions and negative prompt, encoded once."""
        model = copy.copy(self)
        context = self.text.encode(request.captions())[0].to(self.unet.device)

        def predict(x: torch.Tensor, t: torch.Tensor, i: int) -> torch.Tensor:
            return model.predict(x, t, context)

        return GuidedDenoiser(predict, request.guidance_scale)


SPEC = ModelSpec(StableDiffusion, PublicWeights("sd14-unet"), mini=attrgetter("base"))
