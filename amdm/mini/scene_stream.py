"""Endless rendered scenes for training, each known by (stream, seed, index)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from amdm.mini.marks import sample_actions
from amdm.mini.renderer import Rendering, render
from amdm.mini.scenes import BOUNDED_OVERLAP, Scene, sample_scene, scene_generator
from amdm.mini.vocabulary import STYLES

Draw = Callable[[str, int, int], tuple[Scene, Rendering]]
"""(stream, seed, index) → a scene and its picture."""

Batch = list[tuple[Scene, Rendering]]

STILL = 0.25
"""Share of combined scenes without an action."""

CROWDED = 0.3
"""Share of training scenes with COCO-MIG's own overlaps; the others keep the bound of the default layouts."""


def training_scene(stream: str, seed: int, index: int) -> tuple[Scene, Rendering]:
    """Scene number ``index``: 1 to 6 objects, rendered. The same arguments give the same picture."""
    rng = scene_generator(stream, seed, index)
    count = int(rng.integers(1, 7))
    scene = sample_scene(rng, count, None if rng.random() < CROWDED else BOUNDED_OVERLAP)
    return scene, render(scene, rng)


def combined_scene(stream: str, seed: int, index: int) -> tuple[Scene, Rendering]:
    """As :func:`training_scene`, with a style, and in most scenes one to three actions between objects apart."""
    rng = scene_generator(stream, seed, index)
    scene = still_scene(rng) if rng.random() < STILL else acting_scene(rng, int(rng.integers(2, 7)))
    return scene, render(scene, rng)


def still_scene(rng: np.random.Generator) -> Scene:
    """1 to 6 objects in a style, without actions."""
    bare = sample_scene(rng, int(rng.integers(1, 7)), None if rng.random() < CROWDED else BOUNDED_OVERLAP)
    return replace(bare, style=STYLES[int(rng.integers(len(STYLES)))])


def acting_scene(rng: np.random.Generator, count: int, most: int = 3) -> Scene:
    """``count`` objects (2 or more) in a style, 1 to ``most`` actions; drawn again until there is room for one."""
    assert count > 1, "an action needs two objects"
    wanted = int(rng.integers(1, most + 1))
    while True:
        bare = sample_scene(rng, count)
        if actions := sample_actions(rng, [one.box for one in bare.objects], wanted):
            return replace(bare, actions=actions, style=STYLES[int(rng.integers(len(STYLES)))])


def style_picture(style: str, rng: np.random.Generator) -> np.ndarray:
    """A picture of another scene in this style, uint8 (SIZE, SIZE, 3): what tells a model the style."""
    scene = acting_scene(rng, int(rng.integers(2, 5))) if rng.random() < 0.5 else still_scene(rng)
    return render(replace(scene, style=style), rng).image


def scene_batches(stream: str, seed: int, start: int, size: int, draw: Draw = training_scene) -> Iterator[Batch]:
    """Consecutive batches from scene ``start`` on, for ever."""
    while True:
        yield [draw(stream, seed, index) for index in range(start, start + size)]
        start += size


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, the next one being made while the caller works on one."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches)
        while True:
            batch = coming.result()
            coming = pool.submit(next, batches)
            yield batch


def as_tensor_range(images: np.ndarray) -> np.ndarray:
    """uint8 (B, H, W, 3) → float32 (B, 3, H, W) in [−1, 1], the range of diffusers' autoencoders."""
    return np.asarray(images.transpose(0, 3, 1, 2), dtype=np.float32) / 127.5 - 1.0
