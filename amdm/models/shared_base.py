"""One copy of a base UNet in memory under several models."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn


def share_base(source: nn.Module, target: nn.Module) -> int:
    """Let ``target`` hold the very parameters of ``source`` where name, shape, dtype and values are equal.

    Returns:
        The bytes that target no longer holds itself. Also right before training: one optimiser step moves both.
    """
    ours, saved = dict(source.named_parameters()), 0
    for name, parameter in list(target.named_parameters()):
        twin = ours.get(name)
        if twin is None or twin is parameter or twin.shape != parameter.shape or twin.dtype != parameter.dtype:
            continue
        if torch.equal(twin, parameter):
            module, _, leaf = name.rpartition(".")
            setattr(target.get_submodule(module), leaf, twin)
            saved += parameter.numel() * parameter.element_size()
    return saved


def adopt_parameters(source: nn.Module, target: nn.Module, names: Collection[str]) -> None:
    """Let ``target`` hold the very parameters of ``source`` under these names; for networks without values yet."""
    ours = dict(source.named_parameters())
    for name in names:
        module, _, leaf = name.rpartition(".")
        setattr(target.get_submodule(module), leaf, ours[name])
