"""Conjunction of conditions (AND), each with a guidance of its own (Liu et al., arXiv:2206.01714)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from amdm.compositions.one_state import Mixed, check_weights
from amdm.io.strict import Numbers

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Run


def composable(u: torch.Tensor, c: Sequence[torch.Tensor], w: Sequence[float]) -> torch.Tensor:
    """ε = u + Σ wᵢ(cᵢ − u): the score of u·Π (cᵢ/u)^wᵢ without noise; at higher noise levels biased.

    A negative weight is the source's NOT. u and each cᵢ (B, C, h, w), as many as weights.
    """
    return u + sum((w_i * (c_i - u) for w_i, c_i in zip(w, c, strict=True)), u.new_zeros(()))


class Composable(Mixed):
    """weights: one a model, in units of its guidance scale (the source has 7.5 each). u is the target's."""

    semantics: Literal["composable"]
    weights: Numbers

    def check(self, models: int, num_inference_steps: int) -> None:
        """As many weights as models."""
        super().check(models, num_inference_steps)
        check_weights(self.weights, models)

    def epsilon(self, run: Run, x: torch.Tensor, i: int) -> torch.Tensor:
        """Of all models."""
        halves = [run.halves(k, x, i) for k in range(run.count)]
        w = [weight * half.g for weight, half in zip(self.weights, halves, strict=True)]
        return composable(halves[0].u, [half.c for half in halves], w)
