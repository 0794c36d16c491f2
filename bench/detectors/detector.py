"""What a detector is to the benchmark: boxes for a category's name, and masks for what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from pydantic import Field

from bench.cocomig.verdict import Detections, Masks
from bench.provenance import Recorded

RANDOM_REVISION = "random weights"
"""In place of a digest: whoever reads it knows that the verdicts measure nothing."""


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


class DetectionResult(NamedTuple):
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

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """Pictures uint8 RGB (H, W, 3) and, for each, the distinct categories to look for → what was found.

        Raises:
            PictureError: a picture of a size that this detector cannot judge, or that it answers with NaN.
            InputError: weights that cannot be read, or a category that it does not know.
        """
        ...


@dataclass(frozen=True)
class DetectorOptions:
    """Which detector, and how it is held.

    weights_dir: None takes the usual place. device: auto takes CUDA where there is one. dtype:
    of the networks, None takes float32. random_weights: full-size networks from their configurations alone.
    """

    name: str = "mini"
    weights_dir: Path | None = None
    device: str = "auto"
    dtype: str | None = None
    random_weights: bool = False


class DetectorFacts(Recorded):
    """All that decides a detector's answers: stands in run.json and in every key of the cache.

    name: :attr:`DetectorSpec.label`. revision: SHA-256 over the weights, or :data:`RANDOM_REVISION`.
    """

    name: str
    revision: str
    thresholds: dict[str, float] = Field(default_factory=dict)
    dtype: str = "float32"

    def __str__(self) -> str:
        """As it stands under tables."""
        random = self.revision == RANDOM_REVISION
        return f"{self.name} {'with random weights, which measures nothing' if random else self.revision[:12]}"


@dataclass(frozen=True)
class DetectorSpec:
    """All that the benchmark must know of a detector without loading it; each detector's file has one, named SPEC.

    label: the name in records. thresholds: scores from which on an answer counts, the very numbers that act; recorded
    with every run. canvas: see :class:`Detector`. revision: options, and whether to hash every file now → SHA-256 over
    the weights. load: options and revision → the detector. dtypes: that its networks can have. heavy: one process uses
    all cores, or the accelerator, so that several would be in each other's way. random: it can have random weights.
    categories: those that it knows; None where any can be asked for.
    """

    label: str
    thresholds: dict[str, float]
    canvas: int | None
    revision: Callable[[DetectorOptions, bool], str]
    load: Callable[[DetectorOptions, str], Detector]
    dtypes: tuple[str, ...] = ("float32",)
    heavy: bool = False
    random: bool = False
    categories: tuple[str, ...] | None = None


def torch_device(options: DetectorOptions) -> str:
    """The device by torch's name. Raises InputError for what torch does not know or this machine lacks."""
    from amdm.model_set import LoadOptions

    return LoadOptions.parse("paper", None, options.device).device
