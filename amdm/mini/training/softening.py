"""True renderings made a little worse, as a generator's pictures are: what reads those is trained on these."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from diffusers import AutoencoderTiny

from amdm.mini.scene_stream import as_tensor_range

STRONGEST = 0.4
"""Standard deviation of the noise on the latents, whose own is 1."""


def roughened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture, uint8 (H, W, 3), with some blur and grain."""
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.9)))
    grain = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(0, 6)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


@torch.no_grad()
def softened(images: np.ndarray, vae: AutoencoderTiny, rng: np.random.Generator, share: float) -> torch.Tensor:
    """uint8 (B, H, W, 3) → float (B, 3, H, W) in [0, 1].

    About ``share`` of them are encoded and decoded again, with noise of up to :data:`STRONGEST` on the latents (from
    torch's own generator).
    """
    values = torch.from_numpy(as_tensor_range(images))
    chosen = torch.from_numpy(rng.random(len(values)) < share)
    if chosen.any():
        latents = vae.encode(values[chosen]).latents
        latents = latents + torch.rand(len(latents), 1, 1, 1) * STRONGEST * torch.randn_like(latents)
        values[chosen] = vae.decode(latents).sample.clamp(-1, 1)
    return (values + 1) / 2
