"""What a detector is to the benchmark: boxes for a category's name, and masks for what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from bench.judge import Detections, Masks


class PictureError(ValueError):
    """A picture that this detector cannot judge; other pictures of the run can be."""


class Prompt(NamedTuple):
    """What a mask is wanted of. A promptable segmenter uses the box, as the official evaluator does; an
    instance-segmentation model returns the mask of the detection.

    category: the detection's. box: the target, float64 (4,), xyxy in pixels. best: index of the detection.
    """

    category: str
    box: np.ndarray
    best: int


class Found(NamedTuple):
    """What was found in one picture.

    detections: by category. segment: prompts → candidate masks of each; all prompts of a picture are asked at once, and
    nothing is segmented before, because a picture's encoding costs more than all else.
    """

    detections: dict[str, Detections]
    segment: Callable[[Sequence[Prompt]], list[Masks]]


class Detector(Protocol):
    """Finds instances of named categories. One category is one query, whatever else stands in the picture.

    name, revision: which detector this is, down to its weights; recorded with every verdict.
    canvas: the side in pixels of the square on which it judges, or None for the picture's own size.
    """

    name: str
    revision: str
    canvas: int | None

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[Found]:
        """Pictures uint8 RGB (H, W, 3) and, for each, the distinct categories to look for → what was found.

        Raises:
            PictureError: a picture of a size that this detector cannot judge.
            InputError: weights that cannot be read, or a category that it does not know.
        """
        ...
