"""Positions: which grid a layer of the UNet works on, and the Fourier embedding of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from amdm.layout import Layout

FREQUENCIES = 8
TEMPERATURE = 100.0


def layer_grid(tokens: int, latent: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a layer with that many positions, on latents of (rows, columns).

    Each level of the UNet halves both and rounds up. Raises ValueError for a number that is no level's.
    """
    rows, columns = latent
    while rows * columns > tokens:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    if rows * columns != tokens:
        raise ValueError(f"{tokens} positions are not a level of a UNet on latents of {tuple(latent)}")
    return rows, columns


def box_mask(layouts: Sequence[Layout], grid: Sequence[int]) -> torch.Tensor:
    """(B, 1, h, w) float32: 1 in the cells of an (h, w) grid whose centre lies in a box of the layout, else 0."""
    rows, columns = ((torch.arange(size, dtype=torch.float64) + 0.5) / size for size in grid)
    mask = torch.zeros(len(layouts), 1, *grid, dtype=torch.float32)
    for row, layout in zip(mask, layouts, strict=True):
        placed = [*layout.instances, *(one for pair in layout.interactions for one in (pair.subject, pair.object))]
        for x1, y1, x2, y2 in (one.box for one in placed):
            across, down = (x1 <= columns) & (columns < x2), (y1 <= rows) & (rows < y2)
            row[0, down.unsqueeze(1) & across] = 1.0
    return mask


def fourier_embedding(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes (…, 4) → (…, 64): for each frequency 100^(k/8), k = 0…7, sines of the four numbers, then cosines."""
    frequencies = TEMPERATURE ** (torch.arange(FREQUENCIES, device=boxes.device, dtype=torch.float32) / FREQUENCIES)
    angles = boxes.float().unsqueeze(-2) * frequencies.unsqueeze(-1)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
