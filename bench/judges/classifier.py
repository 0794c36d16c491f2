"""What the judges of the mini world share: small convolutional classifiers, read with a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn

from amdm.mini.marks import SIZE
from bench.io.recorded_weights import load_recorded

SHIPPED = Path(str(files("bench.judges") / "weights"))
BATCH = 256


class TrainedJudge:
    """A trained network of :attr:`build`; ``revision`` says which (SHA-256 of its weights)."""

    build: Callable[[], nn.Module]
    shipped: Path

    def __init__(self, network: nn.Module, revision: str) -> None:
        self.network, self.revision = network.eval(), revision

    @classmethod
    def load(cls, weights: Path | None = None) -> Self:
        """Those shipped. Raises InputError for weights that are absent or not the recorded ones."""
        state, revision = load_recorded(weights or cls.shipped)
        network = cls.build()
        network.load_state_dict(state)
        return cls(network, revision)


def convolution(before: int, after: int) -> nn.Sequential:
    """3×3, of the same size, normalised over the batch."""
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


@torch.inference_mode()
def read_classes(network: nn.Module, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest class of each of uint8 (B, H, W, 3), and its probability less that of the second: (B,), (B,)."""
    if not len(pictures):
        return np.zeros(0, dtype=int), np.zeros(0)
    values = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    found = torch.cat([network(part).double().softmax(1) for part in values.split(BATCH)])
    best = found.topk(2, dim=1)
    return best.indices[:, 0].numpy(), (best.values[:, 0] - best.values[:, 1]).numpy()


def checked(images: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """The same pictures. Raises ValueError for one that is not of the mini world's size."""
    for image in images:
        if image.shape != (SIZE, SIZE, 3) or image.dtype != np.uint8:
            raise ValueError(f"a picture {image.dtype} {image.shape}; the mini judges take uint8 ({SIZE}, {SIZE}, 3)")
    return images
