"""What each model changes of a common base, all at once (Bradley et al., arXiv:2502.04549)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from amdm.compositions.composable import composable
from amdm.compositions.one_state import Mixed, check_weights
from amdm.errors import InputError
from amdm.io.strict import Numbers

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Run


class Projective(Mixed):
    """The last model of the method is the base. weights: one of each other model.

    ε = ε_b + Σ wᵢ(εᵢ − ε_b), the score of q_b·Π (qᵢ/q_b)^wᵢ, is that of :func:`composable` with
    the base in place of the unconditional one. Right at every noise level where each model differs from the base in
    coordinates of its own, independent of the others; elsewhere biased.

    Conditional predictions are composed, and guided by the target's scale against its unconditional one.
    """

    semantics: Literal["projective"]
    weights: Numbers

    def check(self, models: int, num_inference_steps: int) -> None:
        """A base, and a weight for each model but this."""
        super().check(models, num_inference_steps)
        if models < 3:
            raise InputError(f"are {models}; {self.semantics} takes 2 or more and, last, their base", field="models")
        check_weights(self.weights, models - 1)

    def epsilon(self, run: Run, x: torch.Tensor, i: int) -> torch.Tensor:
        """Of all models and the base."""
        *own, base = (run.halves(k, x, i) for k in range(run.count))
        c = composable(base.c, [half.c for half in own], self.weights)
        return own[0].u + own[0].g * (c - own[0].u)
