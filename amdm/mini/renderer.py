"""Pictures of mini scenes: flat shapes with a soft shade, and marks between them, on a textured gray ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from amdm.mini.marks import SIZE, draw_marks
from amdm.mini.scenes import Scene
from amdm.mini.styles import style_pattern

_SUPERSAMPLING = 3

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Membership of a point of the box, (u, v) ∈ [−1, 1]², v downwards. Each shape touches all four sides of its box.
_SHAPES: dict[str, Shape] = {
    "circle": lambda u, v: u * u + v * v <= 1,
    "square": lambda u, v: (np.abs(u) <= 1) & (np.abs(v) <= 1),
    "triangle": lambda u, v: np.abs(u) <= (v + 1) / 2,
    "diamond": lambda u, v: np.abs(u) + np.abs(v) <= 1,
    "cross": lambda u, v: np.minimum(np.abs(u), np.abs(v)) <= 0.36,
    "ring": lambda u, v: (u * u + v * v <= 1) & (u * u + v * v >= 0.2),
    "hourglass": lambda u, v: np.abs(u) <= 0.1 + 0.9 * np.abs(v),
    "arch": lambda u, v: (np.abs(u) >= 0.45) | (v <= -0.25),
}

# OpenCV's 8-bit HSV (H 0…179): ranges well inside those of the benchmark, so that shading and blur stay inside.
_HSV: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "red": ((-10, 4), (150, 250), (130, 250)),
    "blue": ((98, 120), (140, 250), (120, 250)),
    "green": ((45, 80), (120, 250), (90, 230)),
    "yellow": ((27, 33), (150, 250), (170, 250)),
    "black": ((0, 179), (0, 90), (4, 18)),
    "white": ((0, 179), (0, 16), (238, 255)),
    "brown": ((10, 20), (130, 220), (80, 160)),
}


class Rendering(NamedTuple):
    """A picture and its truth.

    image: uint8 (SIZE, SIZE, 3), RGB. masks: bool (n, SIZE, SIZE), the visible pixels of each object (coverage of a
    half or more, less what nearer objects hide), in the scene's order.
    """

    image: np.ndarray
    masks: np.ndarray


def render(scene: Scene, rng: np.random.Generator) -> Rendering:
    """Draw the scene: ground, marks, then shapes, larger boxes first, so that what is small stays visible."""
    image = _ground(rng, scene.style)
    draw_marks(image, scene, rng)
    areas = [(one.box[2] - one.box[0]) * (one.box[3] - one.box[1]) for one in scene.objects]
    masks = np.zeros((len(scene.objects), SIZE, SIZE), dtype=bool)
    for k in np.argsort(-np.asarray(areas), kind="stable"):
        one = scene.objects[k]
        coverage = shape_coverage(one.category, one.box)
        image += coverage[..., None] * (_paint(one.colour, rng) - image)
        masks[:, coverage >= 0.5] = False
        masks[k] = coverage >= 0.5
    return Rendering(np.clip(np.rint(image), 0, 255).astype(np.uint8), masks)


def shape_coverage(category: str, box: tuple[float, float, float, float]) -> np.ndarray:
    """Share of each pixel that the shape covers, float32 (SIZE, SIZE) in [0, 1]; ``box`` is xyxy in [0, 1]."""
    x1, y1, x2, y2 = (value * SIZE for value in box)
    left, top = int(np.floor(x1)), int(np.floor(y1))
    right, bottom = min(SIZE, int(np.ceil(x2))), min(SIZE, int(np.ceil(y2)))
    steps = (np.arange(SIZE * _SUPERSAMPLING, dtype=np.float32) + 0.5) / _SUPERSAMPLING
    xs, ys = (steps[a * _SUPERSAMPLING : b * _SUPERSAMPLING] for a, b in ((left, right), (top, bottom)))
    u = ((xs - x1) * (2 / (x2 - x1)) - 1)[None, :]
    v = ((ys - y1) * (2 / (y2 - y1)) - 1)[:, None]
    inside = _SHAPES[category](u, v) & (np.abs(u) <= 1) & (np.abs(v) <= 1)
    blocks = inside.reshape(bottom - top, _SUPERSAMPLING, right - left, _SUPERSAMPLING)
    coverage = np.zeros((SIZE, SIZE), dtype=np.float32)
    coverage[top:bottom, left:right] = blocks.mean((1, 3), dtype=np.float32)
    return coverage


def _ground(rng: np.random.Generator, style: str) -> np.ndarray:
    """Gray with the style's pattern, slow light, a faint tint and grain.

    No pixel is saturated or dark enough to have a colour's name.
    """
    slow = cv2.resize(rng.standard_normal((4, 4)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    middle = cv2.resize(rng.standard_normal((16, 16)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    gray = rng.uniform(95, 165) + 9 * slow + 5 * middle + 2 * rng.standard_normal((SIZE, SIZE), dtype=np.float32)
    tint = rng.uniform(-4, 4, size=3).astype(np.float32)
    return np.clip(gray + style_pattern(style, rng), 60, 200)[..., None] + tint


def _paint(colour: str, rng: np.random.Generator) -> np.ndarray:
    """The RGB of one object, float32 (SIZE, SIZE, 3): one jittered colour under a soft linear shade."""
    hsv = [int(rng.integers(low, high + 1)) for low, high in _HSV[colour]]
    pixel = np.array([[[hsv[0] % 180, hsv[1], hsv[2]]]], dtype=np.uint8)
    rgb = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)
    shade = 1 - 0.06 * (1 + np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None])
    return np.asarray(rgb if colour in ("black", "white") else rgb * shade[..., None], dtype=np.float32) + np.zeros(
        (SIZE, SIZE, 1), dtype=np.float32
    )
