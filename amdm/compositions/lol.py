"""AMDM with the mix of latents that keeps their common mean (Bodin et al., arXiv:2408.08558) for equation 9."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from amdm.aggregation import AggregationConfig, paper, to_epsilon
from amdm.compositions.window import Window
from amdm.io.strict import Count, Numbers

if TYPE_CHECKING:  # presets are read without any network
    import torch

    from amdm.sampler import Mix, Mixing


class LOL(Window):
    """eta: of the pull-back, as AMDM's; none leaves it out. Noise is separate, as the mix takes states for independent.

    m is √ᾱ times the mean of the models' x̂₀.
    """

    semantics: Literal["lol"]
    first_step: Count = 0
    s: Count
    weights: Numbers
    eta: Numbers = ()
    eta_unit: Literal["latent", "sqrt_dim"] = "latent"
    initial_noise: Literal["shared", "separate"] = "separate"

    def config(self) -> AggregationConfig:
        """The paper's, but for the mix."""
        fields = self.model_dump(include={"first_step", "eta_unit", "initial_noise"})
        return paper(self.s, self.weights, self.eta, pull_back=bool(self.eta), **fields)

    def mix(self) -> Mix:
        """:func:`lol_mix` of the states, about what they have in common."""
        return lambda mixing: lol_mix(mixing.states, mixing.coefficients, common_mean(mixing))


def lol_mix(xs: Sequence[torch.Tensor], w: Sequence[float], m: torch.Tensor) -> torch.Tensor:
    """x′ = Σ wᵢxᵢ/√β + (1 − α/√β)·m with α = Σ w, β = Σ w² (Bodin et al., arXiv:2408.08558).

    Independent states of one mean m and one covariance give a state of that mean and covariance; with m = 0 it is
    equation 9. States and m (B, C, h, w).
    """
    alpha, beta = sum(w), sum(one * one for one in w)
    mixed = sum((one * x for one, x in zip(w, xs, strict=True)), xs[0].new_zeros(xs[0].shape)) / math.sqrt(beta)
    return mixed + (1 - alpha / math.sqrt(beta)) * m


def common_mean(mixing: Mixing) -> torch.Tensor:
    """√ᾱ_{t−1}·mean_k x̂₀,k: what the stepped states have in common, their noise taken away."""
    import torch

    from amdm.sampler import alpha_bars

    signal = []
    own = zip(mixing.states, mixing.schedulers, mixing.entering, mixing.predictions, strict=True)
    for x, scheduler, x_t, prediction in own:
        here, there = (alpha_bar.to(x.device) for alpha_bar in alpha_bars(scheduler, mixing.i))
        epsilon = to_epsilon(prediction, x_t, here, scheduler.config.prediction_type)
        signal.append(x - (1 - there).sqrt() * epsilon)
    return torch.stack(signal).mean(0)
