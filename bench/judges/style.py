"""The judge of styles: a classifier of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from amdm.mini.vocabulary import STYLES
from bench.judges.classifier import SHIPPED, TrainedJudge, checked, convolution, read_classes
from bench.judges.conditions import StyleReading
from bench.judges.registry import JudgeSpec

STYLE_WEIGHTS = SHIPPED / "style.safetensors"


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


class StyleJudge(TrainedJudge):
    """Reads :func:`build_style_network`."""

    build, shipped = staticmethod(build_style_network), STYLE_WEIGHTS

    def judge(self, images: Sequence[np.ndarray]) -> list[StyleReading]:
        """Read each picture, uint8 RGB (64, 64, 3).

        Raises:
            ValueError: a picture of another size.
        """
        found, margins = read_classes(self.network, np.array(checked(images)))
        return [StyleReading(STYLES[one], float(margin)) for one, margin in zip(found, margins, strict=True)]


SPEC = JudgeSpec("mini style judge", "style", mini=True, load=StyleJudge.load, weights=STYLE_WEIGHTS)
