"""Which grid a layer of the UNet works on."""

from __future__ import annotations

from collections.abc import Sequence


def layer_grid(tokens: int, latent: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a layer with that many positions, on latents of (rows, columns).

    Each level of the UNet halves both and rounds up. Raises ValueError for a number that is no level's.
    """
    rows, columns = latent
    while rows * columns > tokens:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    if rows * columns != tokens:
        raise ValueError(f"{tokens} positions are no level of a UNet on latents of {tuple(latent)}")
    return rows, columns
