"""Random numbers that depend on what they are for, never on order, batch, shard or device.

Every random tensor is drawn on the CPU by a generator of its own, seeded from a key: a text such as
``"<layout set hash>/<layout index>/<seed>"``, followed by what the numbers are for (model, step, layer).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch


def keyed_generator(*key: object) -> torch.Generator:
    """A CPU generator whose seed is the first 63 bits of SHA-256 over the key's parts."""
    digest = hashlib.sha256("/".join(str(part) for part in key).encode("utf-8")).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def initial_noise(keys: Sequence[str], model: str, shape: Sequence[int]) -> torch.Tensor:
    """x_T of ``model``: one standard normal tensor of ``shape`` (C, h, w) a key, float32, (len(keys), C, h, w)."""
    # Said in full: what the process has for a default dtype or device is no part of the key.
    kind: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
    return torch.stack([torch.randn(tuple(shape), generator=keyed_generator(key, model), **kind) for key in keys])


def permutation(key: str, size: int, *purpose: object) -> torch.Tensor:
    """A random permutation of range(size), int64 (size,), for one sample and purpose (step, layer)."""
    return torch.randperm(size, generator=keyed_generator(key, *purpose), device="cpu")
