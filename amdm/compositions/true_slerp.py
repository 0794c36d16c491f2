"""States mixed along the great circle through them, by the angle that they really have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from amdm.aggregation import AggregationConfig, divisor, paper, sample_norm
from amdm.compositions.window import Window
from amdm.io.strict import Count, Numbers

if TYPE_CHECKING:  # presets are read without any network
    import torch

    from amdm.sampler import Mix


class TrueSlerp(Window):
    """No pull-back: every model goes on from the mix."""

    semantics: Literal["true-slerp"]
    first_step: Count = 0
    s: Count
    weights: Numbers

    def config(self) -> AggregationConfig:
        """Equation 9 with the angles of the states for right ones, and no equation 10."""
        return paper(self.s, self.weights, (), first_step=self.first_step, pull_back=False)

    def mix(self) -> Mix:
        """:func:`slerp` of the states."""
        return lambda mixing: slerp(mixing.states, mixing.coefficients)


def slerp(xs: Sequence[torch.Tensor], coefficients: Sequence[float]) -> torch.Tensor:
    """[sin((1−τ)Ω)·x₁ + sin(τΩ)·x₂]/sin Ω, Ω the angle between the states of one sample; further ones one by one.

    τ is such that at a right angle this is Σ cᵢxᵢ: sin(τπ/2) = c₂/√(c₁² + c₂²). As Ω → 0, (1−τ)x₁ + τx₂.
    States (B, C, h, w), as many as coefficients, which are 0 or more.
    """
    mixed, c = xs[0], coefficients[0]
    for x, own in zip(xs[1:], coefficients[1:], strict=True):
        tau, c = 2 / math.pi * math.atan2(own, c), math.hypot(c, own)
        cosine = (mixed * x).flatten(1).sum(1).reshape(-1, *[1] * (x.dim() - 1)) / divisor(
            sample_norm(mixed) * sample_norm(x)
        )
        omega = cosine.clamp(-1, 1).acos()
        # sin Ω is 0 at opposite states too, which no great circle joins; there as at equal ones the chord is taken.
        curved = omega.sin() > 1e-4
        sine = omega.sin().where(curved, omega.new_ones(()))
        first = (((1 - tau) * omega).sin() / sine).where(curved, omega.new_tensor(1 - tau))
        second = ((tau * omega).sin() / sine).where(curved, omega.new_tensor(tau))
        mixed = first * mixed + second * x
    return mixed
