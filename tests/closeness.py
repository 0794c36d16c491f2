"""How close two results have to be: bounds that follow from the arithmetic, so that they hold on any processor.

Float32 sums are added up in an order that depends on the processor, the batch size, the number of threads and even on
where a tensor lies in memory. So two ways to one number are compared in one of two ways. Where equality is meant, both
are computed in float64 (:func:`to_double`): what is left is the rounding of the result, which the product returns in
float32 (:func:`assert_same`). Where float32 itself is tested, or a recorded case was computed in it, the bound is a
small multiple of what the result moves when every input and weight is off by one float32 rounding
(:func:`rounding_bound`): such a nudge rolls the dice of every rounding on the way again, as another processor does.
Whatever is broken moves results by thousands of roundings.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import nn

ROUNDING = 2.0**-24
"""The largest relative error of rounding to float32."""

PROMISED = 1e-4
"""What docs/precision.md promises of float32 latents across batch sizes: about ten times what was measured."""

T = TypeVar("T")
Distance = Callable[[Any, Any], float]


def to_double(model: T) -> T:
    """A copy in float64 of a network, or of what holds networks (``modules()`` by name) and remembers texts."""
    twin = copy.deepcopy(model)
    for module in _networks(twin):
        module.double()
    _forget(twin)
    return twin


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, roundings: int = 32) -> None:
    """Two float64 computations of one thing agree to a few float32 roundings of its largest entry.

    A prediction is rounded once for each half of the guidance, which multiplies that by scale + |1 − scale| (5 at a
    scale of 3), and is added up in float32: 32 is what that can come to, with room for a float32 step inside.
    """
    bound = roundings * ROUNDING * float(theirs.abs().max())
    torch.testing.assert_close(ours, theirs, atol=bound, rtol=0)


def farthest(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference of two entries."""
    return float((ours - theirs).abs().max())


def rounding_bound(
    function: Callable[..., Any], *inputs: Any, multiple: float = 8.0, distance: Distance = farthest
) -> float:
    """``multiple`` times as far as ``function(*inputs)`` moves when its inputs are off by one float32 rounding.

    inputs: tensors, networks, or what holds networks; of the latter every weight is nudged.
    """
    moved = distance(function(*map(nudged, inputs)), function(*inputs))
    assert moved > 0, "the inputs do not reach the result"
    return multiple * moved


def nudged(one: T, seed: int = 0) -> T:
    """A copy off by one float32 rounding, up or down at random: a tensor, or every weight of a network."""
    chance = torch.Generator().manual_seed(seed)
    if isinstance(one, torch.Tensor):
        return _nudged(one, chance)
    twin = copy.deepcopy(one)
    with torch.no_grad():
        for parameter in {id(p): p for module in _networks(twin) for p in module.parameters()}.values():
            parameter.copy_(_nudged(parameter, chance))
    _forget(twin)
    return twin


def _nudged(x: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    up = torch.rand(x.shape, generator=chance) < 0.5
    if x.dtype == torch.float64:
        return x * (1 + 2 * ROUNDING * torch.where(up, 1.0, -1.0))
    return torch.nextafter(x, torch.where(up, torch.inf, -torch.inf).to(x.dtype))


def _networks(holder: Any) -> Iterable[nn.Module]:
    return [holder] if isinstance(holder, nn.Module) else holder.modules().values()


def _forget(holder: Any) -> None:
    for one in getattr(holder, "models", {"": holder}).values():
        if hasattr(one, "text"):
            one.text.forget()
