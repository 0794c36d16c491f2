"""Styles of the mini world: patterns of the whole ground, light and dark."""

from __future__ import annotations

import numpy as np

from amdm.mini.marks import SIZE

CONTRAST = 26.0
"""Gray levels that a pattern goes up and down. The ground's own light varies by about 10."""
PERIOD = 12.0
"""Pixels."""


def style_pattern(style: str, rng: np.random.Generator) -> np.ndarray | float:
    """What a style adds to the gray of the ground, float32 (SIZE, SIZE) with mean near 0; "plain" adds nothing.

    Where the pattern begins is random, so that only its form tells the style.
    """
    if style == "plain":
        return 0.0
    steps = np.arange(SIZE, dtype=np.float32) + 0.5
    x, y = np.meshgrid(steps, steps)
    dx, dy = rng.uniform(0, PERIOD, size=2).astype(np.float32)
    u, v = (x + dx) * (2 * np.pi / PERIOD), (y + dy) * (2 * np.pi / PERIOD)
    if style == "stripes":
        wave = np.sin((u + v) * np.float32(0.70711))
    elif style == "checks":
        wave = np.sin(u * np.float32(0.6)) * np.sin(v * np.float32(0.6)) * 2
    elif style == "dots":
        wave = np.cos(u) + np.cos(v) - 1
    elif style == "rings":
        centre = rng.uniform(0.3, 0.7, size=2).astype(np.float32) * SIZE
        wave = np.sin(np.hypot(x - centre[0], y - centre[1]) * (2 * np.pi / PERIOD))
    else:  # split: light above, dark below
        wave = (np.float32(SIZE * rng.uniform(0.4, 0.6)) - y) / 2
    return np.asarray(CONTRAST * np.clip(2 * wave, -1, 1), dtype=np.float32)
