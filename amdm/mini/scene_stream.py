"""Endless rendered scenes for training, each known by (stream, seed, index)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from amdm.mini.renderer import Rendering, render
from amdm.mini.scenes import BOUNDED_OVERLAP, Scene, sample_scene, scene_generator

CROWDED = 0.3
"""Share of training scenes with COCO-MIG's own overlaps; the others keep the bound of the default layouts."""


def training_scene(stream: str, seed: int, index: int) -> tuple[Scene, Rendering]:
    """Scene number ``index``: 1 to 6 objects, rendered. The same arguments give the same picture."""
    rng = scene_generator(stream, seed, index)
    count = int(rng.integers(1, 7))
    scene = sample_scene(rng, count, None if rng.random() < CROWDED else BOUNDED_OVERLAP)
    return scene, render(scene, rng)


def scene_batches(stream: str, seed: int, start: int, size: int) -> Iterator[list[tuple[Scene, Rendering]]]:
    """Consecutive batches from scene ``start`` on, for ever."""
    while True:
        yield [training_scene(stream, seed, index) for index in range(start, start + size)]
        start += size


def as_tensor_range(images: np.ndarray) -> np.ndarray:
    """uint8 (B, H, W, 3) → float32 (B, 3, H, W) in [−1, 1], the range of diffusers' autoencoders."""
    return np.asarray(images.transpose(0, 3, 1, 2), dtype=np.float32) / 127.5 - 1.0
