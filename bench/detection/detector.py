"""What a detector is to the benchmark: boxes for a category's name, and masks for what it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from bench.judge import Detections, Segment


class Found(NamedTuple):
    """What was found in one picture: detections by category, and how to get masks of them (see bench.judge.Segment)."""

    detections: dict[str, Detections]
    segment: dict[str, Segment]


class Detector(Protocol):
    """Finds instances of named categories. One category is one query, whatever else stands in the picture.

    name, revision: which detector this is, down to its weights; recorded with every verdict.
    canvas: the side in pixels of the square on which it judges, or None for the picture's own size.
    """

    name: str
    revision: str
    canvas: int | None

    def find(self, images: np.ndarray, categories: Sequence[Sequence[str]]) -> list[Found]:
        """Pictures uint8 RGB (B, H, W, 3) and, for each, the distinct categories to look for → what was found."""
        ...
