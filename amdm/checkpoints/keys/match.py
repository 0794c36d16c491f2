"""Strict loading: what a checkpoint must hold, by name and shape, against what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from amdm.errors import InputError

_SHOWN = 4


def require_match(
    shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, torch.Tensor], *, file: object = None
) -> None:
    """Compare a checkpoint with the keys and shapes that it must have.

    Raises:
        InputError: keys of ``state`` are missing, left over or of another shape; it names the first of each kind.
    """
    shared = sorted(set(shapes) & set(state))
    reshaped = [key for key in shared if tuple(state[key].shape) != shapes[key]]
    problems = {
        "missing": sorted(set(shapes) - set(state)),
        "left over": sorted(set(state) - set(shapes)),
        "of another shape": [f"{key} {tuple(state[key].shape)} instead of {shapes[key]}" for key in reshaped],
    }
    if any(problems.values()):
        raise InputError("; ".join(f"{what}: {_some(keys)}" for what, keys in problems.items() if keys), file=file)


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
