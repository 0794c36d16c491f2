"""What every judge of the mini world reads off its network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.judges.classifier import BATCH, read_classes


class Told(nn.Module):
    """Answers with the same probabilities for every picture, and keeps what it was shown."""

    def __init__(self, *probabilities: float) -> None:
        super().__init__()
        self.scores, self.seen = torch.tensor(probabilities).log(), list[torch.Tensor]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        return self.scores.expand(len(x), -1)


def test_the_margin_is_over_the_second_likeliest() -> None:
    classes, margins = read_classes(Told(0.2, 0.5, 0.3), np.zeros((2, 4, 4, 3), np.uint8))
    assert classes.tolist() == [1, 1] and margins.tolist() == pytest.approx([0.2, 0.2])
    assert [len(one) for one in read_classes(Told(0.5, 0.5), np.zeros((0, 4, 4, 3), np.uint8))] == [0, 0]


def test_pictures_are_channels_first_in_fractions_and_so_many_at_once() -> None:
    pictures, network = np.zeros((BATCH + 3, 2, 5, 3), np.uint8), Told(0.9, 0.1)
    pictures[-1, 1, 4] = (255, 51, 0)
    assert len(read_classes(network, pictures)[0]) == BATCH + 3
    assert [tuple(one.shape) for one in network.seen] == [(BATCH, 3, 2, 5), (3, 3, 2, 5)]
    assert network.seen[-1][-1, :, 1, 4].tolist() == pytest.approx([1, 0.2, 0])
