"""Plain Stable Diffusion: the caption alone. The baseline, and MIGC's unconditional half."""

from __future__ import annotations

import torch

from amdm.models.control import ControlModel, Denoiser, SampleRequest, guided


class StableDiffusion(ControlModel):
    """Reads the caption; instances and interactions are ignored on purpose (it shows what a caption alone gives)."""

    name = "stable_diffusion"
    reads = frozenset({"caption"})
    ignores_on_purpose = frozenset({"instances", "interactions"})

    def predict(self, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The UNet's prediction, float32: x (B, C, h, w), t () or (B,), context (B, L, D) → (B, C, h, w)."""
        dtype = self.unet.dtype
        return self.unet(x.to(dtype), t, context.to(dtype), return_dict=False)[0].float()

    def bind(self, request: SampleRequest) -> Denoiser:
        """Captions and negative prompt, encoded once."""
        texts = [request.negative_prompt] * len(request.layouts) + [layout.caption for layout in request.layouts]
        context = self.text.encode(texts)[0].to(self.unet.device)

        def denoise(x: torch.Tensor, t: float, i: int) -> torch.Tensor:
            timestep = torch.tensor(t, device=x.device)
            return guided(self.predict(torch.cat([x, x]), timestep, context), request.guidance_scale)

        return denoise
