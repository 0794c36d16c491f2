"""A slow generator without networks, for runs that are killed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

SIZE = 64


def paint(layouts: Sequence[Any], seeds: Sequence[int]) -> list[np.ndarray]:
    """Boxes in a grey that the seed decides."""
    time.sleep(1)
    images = [np.full((SIZE, SIZE, 3), 120, np.uint8) for _ in layouts]
    for image, layout, seed in zip(images, layouts, seeds, strict=True):
        for one in layout.instances:
            x1, y1, x2, y2 = (round(value * SIZE) for value in one.box)
            image[y1:y2, x1:x2] = seed % 256
    return images
