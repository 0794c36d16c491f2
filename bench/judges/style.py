"""The judge of styles: a classifier of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from amdm.mini.vocabulary import STYLES
from bench.judges.classifier import SHIPPED, checked, convolution, read_classes
from bench.judges.registry import JudgeSpec
from bench.recorded_weights import load_recorded

STYLE_WEIGHTS = SHIPPED / "style.safetensors"


class StyleReading(NamedTuple):
    """found: the picture's style. margin: its probability less that of the next, in [0, 1]."""

    found: str
    margin: float


class StyleJudge:
    """A trained network of :func:`build_style_network`; ``revision`` says which (SHA-256 of its weights)."""

    def __init__(self, network: nn.Module, revision: str) -> None:
        self.network, self.revision = network.eval(), revision

    @classmethod
    def load(cls, weights: Path = STYLE_WEIGHTS) -> StyleJudge:
        """Those shipped. Raises InputError for weights that are absent or not the recorded ones."""
        state, revision = load_recorded(weights)
        network = build_style_network()
        network.load_state_dict(state)
        return cls(network, revision)

    def judge(self, images: Sequence[np.ndarray]) -> list[StyleReading]:
        """Read each picture, uint8 RGB (64, 64, 3).

        Raises:
            ValueError: a picture of another size.
        """
        found, margins = read_classes(self.network, np.array(checked(images)))
        return [StyleReading(STYLES[one], float(margin)) for one, margin in zip(found, margins, strict=True)]


SPEC = JudgeSpec("mini style judge", "style", mini=True, load=StyleJudge.load, weights=STYLE_WEIGHTS)


def build_style_network() -> nn.Sequential:
    """(B, 3, 64, 64) in [0, 1] → scores (B, 6) in the order of STYLES."""
    return nn.Sequential(
        nn.BatchNorm2d(3),
        convolution(3, 16),
        nn.MaxPool2d(2),
        convolution(16, 24),
        nn.MaxPool2d(2),
        convolution(24, 32),
        nn.MaxPool2d(2),
        convolution(32, 48),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48 * 4 * 4, len(STYLES)),
    )
