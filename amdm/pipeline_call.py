"""A running call of a pipeline: what its callbacks read and change, apart from what other calls do meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

from amdm.errors import InputError
from amdm.presets.settings import MethodSettings
from amdm.sampler import Step


@dataclass(eq=False)
class Call:
    """settings: of this call. outer: the call out of whose callback this one was made. interrupted: it is to end."""

    owner: object
    settings: MethodSettings
    outer: Call | None
    interrupted: bool = False


_INNERMOST: ContextVar[Call | None] = ContextVar("_INNERMOST", default=None)
"""In this thread, or asynchronous task."""


@contextmanager
def running(owner: object, settings: MethodSettings, calls: set[Call]) -> Iterator[Call]:
    """A call of ``owner``, among its ``calls`` while it lasts."""
    call = Call(owner, settings, _INNERMOST.get())
    token = _INNERMOST.set(call)
    calls.add(call)
    try:
        yield call
    finally:
        calls.discard(call)
        _INNERMOST.reset(token)


def call_of(owner: object) -> Call | None:
    """The innermost call of ``owner`` that this code runs in, if any."""
    call = _INNERMOST.get()
    while call is not None and call.owner is not owner:
        call = call.outer
    return call


def tell(owner: Any, callback: Callable[..., Any] | None, inputs: Sequence[str], target: str, step: Step) -> None:
    """Call what a user gave for the end of a step; the latents that it returns are where the target goes on.

    Raises:
        InputError: it returns something else.
    """
    if callback is None:
        return
    before = step.leaving[target]
    known = {"latents": before, "geometry": step.geometry() if step.mixed is not None else {}}
    returned = callback(owner, step.index, step.timestep, {name: known[name] for name in inputs}) or {}
    if not isinstance(returned, dict):
        raise InputError(f"returned a {type(returned).__name__}, and no dictionary", field="callback_on_step_end")
    if unknown := [name for name in returned if name != "latents"]:
        raise InputError("is not a tensor that a callback can change", field=unknown[0])
    changed = returned.get("latents", before)
    if not isinstance(changed, torch.Tensor) or changed.shape != before.shape:
        raise InputError(f"returned no tensor of the shape {tuple(before.shape)}", field="callback_on_step_end")
    step.leaving[target] = changed.to(before)  # which keeps the precision of the states
