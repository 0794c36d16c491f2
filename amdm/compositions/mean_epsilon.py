"""The weighted mean of guided predictions (LoRA-Composite; Zhong et al., arXiv:2402.16843)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from amdm.compositions.one_state import Mixed, check_weights
from amdm.errors import InputError
from amdm.io.strict import Numbers

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Run


def mean_epsilon(eps: Sequence[torch.Tensor], w: Sequence[float]) -> torch.Tensor:
    """ε = Σ wᵢεᵢ / Σ wᵢ.

    The score of the geometric mean Π qᵢ^(wᵢ/Σw) at every noise level where the models have one covariance; elsewhere
    biased, since noising a product is not the product of the noised. Predictions (B, C, h, w), as many as weights.
    """
    return sum((w_i * e for w_i, e in zip(w, eps, strict=True)), eps[0].new_zeros(())) / sum(w)


class MeanEpsilon(Mixed):
    """weights: one a model; they are divided by their sum."""

    semantics: Literal["mean-epsilon"]
    weights: Numbers

    def check(self, models: int, num_inference_steps: int) -> None:
        """As many weights as models, and a sum to divide by."""
        super().check(models, num_inference_steps)
        check_weights(self.weights, models)
        if abs(sum(self.weights)) <= 1e-9 * sum(map(abs, self.weights)):  # 0.1 + 0.2 − 0.3 is 0 but for rounding
            raise InputError("sum to 0", field="weights")

    def epsilon(self, run: Run, x: torch.Tensor, i: int) -> torch.Tensor:
        """Of all models."""
        return mean_epsilon([run.guided(k, x, i) for k in range(run.count)], self.weights)
