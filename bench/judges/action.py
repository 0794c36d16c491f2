"""The judge of actions: which mark stands between two boxes, and which way it points.

It sees the strip along the line from subject to object alone, straightened, so that a mark looks the same wherever the
two boxes stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from torch import nn

from amdm.layout import Box
from amdm.mini.marks import SIZE, line_between, mark_length
from amdm.mini.vocabulary import ACTIONS, DIRECTED
from bench.judges.classifier import SHIPPED, TrainedJudge, checked, convolution, read_classes
from bench.judges.conditions import ActionReading
from bench.judges.registry import JudgeSpec

ACTION_WEIGHTS = SHIPPED / "action.safetensors"
STRIP_HEIGHT, STRIP_WIDTH = 16, 40
CONTEXT = 3.0
"""Pixels of the picture that the strip shows beyond both edges."""
CLASSES: tuple[tuple[str | None, bool], ...] = (
    (None, False),
    *((action, False) for action in ACTIONS),
    *((action, True) for action in DIRECTED),
)
"""(action or None, whether it points from object to subject), in the order of the network's outputs."""


def build_action_network() -> nn.Sequential:
    """(B, 3, 16, 40) in [0, 1] → scores (B, 6) in the order of :data:`CLASSES`."""
    return nn.Sequential(
        nn.BatchNorm2d(3),
        convolution(3, 24),
        convolution(24, 24),
        nn.MaxPool2d(2),
        convolution(24, 40),
        nn.MaxPool2d(2),
        convolution(40, 48),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48 * 2 * 5, len(CLASSES)),
    )


class ActionJudge(TrainedJudge):
    """Reads :func:`build_action_network`."""

    build, shipped = staticmethod(build_action_network), ACTION_WEIGHTS

    def judge(
        self, images: Sequence[np.ndarray], pairs: Sequence[Sequence[tuple[Box, Box]]]
    ) -> list[list[ActionReading]]:
        """Read each picture between each of its pairs.

        Args:
            images: uint8 RGB (64, 64, 3) each.
            pairs: for each picture the boxes (subject, object), xyxy in [0, 1].

        Raises:
            ValueError: a picture of another size.
        """
        asked = zip(checked(images), pairs, strict=True)
        strips = [straightened(image, *ends) for image, own in asked for ends in own]
        classes, margins = read_classes(self.network, np.array(strips))
        readings = []
        for k, margin in zip(classes, margins, strict=True):
            action, turned = CLASSES[int(k)]
            readings.append(ActionReading(action, turned, float(margin)))
        ends = np.cumsum([0, *map(len, pairs)])
        return [readings[a:b] for a, b in pairwise(ends)]


SPEC = JudgeSpec("mini action judge", "action", mini=True, load=ActionJudge.load, weights=ACTION_WEIGHTS)


def straightened(image: np.ndarray, subject: Box, object: Box) -> np.ndarray:
    """The strip between two boxes, uint8 (16, 40, 3): from the subject's edge (left) to the object's, 16 pixels wide.

    Where the boxes touch or overlap it shows no more than the context around the edges' middle.
    """
    start, end = line_between(subject, object)
    length = mark_length(subject, object)
    if length < 0:
        start, length = (start + end) / 2, 0.0
    centres = np.array([subject, object]).reshape(2, 2, 2).mean(1)
    way = (centres[1] - centres[0]) / max(1e-6, float(np.linalg.norm(centres[1] - centres[0])))
    along = (np.arange(STRIP_WIDTH) + 0.5) / STRIP_WIDTH * (length + 2 * CONTEXT) - CONTEXT
    across = np.arange(STRIP_HEIGHT)[:, None] + 0.5 - STRIP_HEIGHT / 2
    x = start[0] + along * way[0] - across * way[1] - 0.5  # OpenCV counts from the middle of the first pixel
    y = start[1] + along * way[1] + across * way[0] - 0.5
    x, y = (one.clip(0, SIZE - 1).astype(np.float32) for one in (x, y))
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR))
