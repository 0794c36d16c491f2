"""Fourier features of box coordinates, as GLIGEN, InteractDiffusion and MIGC use them."""

from __future__ import annotations

import torch

FREQUENCIES = 8
TEMPERATURE = 100.0


def fourier_embedding(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes (…, 4) → (…, 64): for each frequency 100^(k/8), k = 0…7, sines of the four numbers, then cosines."""
    frequencies = TEMPERATURE ** (torch.arange(FREQUENCIES, device=boxes.device, dtype=torch.float32) / FREQUENCIES)
    angles = boxes.float().unsqueeze(-2) * frequencies.unsqueeze(-1)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
