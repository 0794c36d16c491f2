"""The protocol of generators: layouts and keys in, pictures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from amdm.errors import InputError


class Generated(Protocol):
    """What a generator returns: uint8 RGB (B, H, W, 3), and whether each sample's latents were finite.

    It may have ``pull_back`` too: a :data:`bench.generators.pull_back.PullBack` for each sample.
    """

    images: Sequence[np.ndarray] | np.ndarray
    finite: Sequence[bool]
    evaluations: dict[str, int]


class ContractError(InputError):
    """A generator broke its contract (wrong type, shape or count). Not retried: every batch would fail."""


Generator = Callable[..., Generated]
"""(method, layouts, keys) → pictures; with ``styles`` where the layouts name them: a picture a layout, and the names of
the styles for true renderings."""
