"""LOL mix: independent states of one law give that law, where equation 9 moves the mean."""

from __future__ import annotations

import pytest
import torch

from amdm.aggregation import mixing_coefficients, spherical_aggregation
from amdm.compositions.lol import common_mean, lol_mix
from amdm.sampler import Mixing, alpha_bars
from tests.amdm.compositions.gaussians import (
    SHAPES,
    bound,
    composition,
    isotropic,
    law,
    law_of_own_noise,
    schedule,
    spread,
)


@pytest.mark.parametrize("w", [[0.5, 0.75**0.5], [1.0, 2.0, 3.0], [1.0, 0.0], [0.0, 1.0]])
def test_mean_and_variance_of_independent_states_are_kept(w: list[float]) -> None:
    """The map is affine in the states: m goes to m, and squares of its factors sum to 1."""
    m = torch.tensor([1.0, -2.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    torch.testing.assert_close(lol_mix([m] * len(w), w, m), m)
    unit, zero = torch.ones_like(m), torch.zeros_like(m)
    factors = [lol_mix([unit if k == j else zero for j in range(len(w))], w, zero) for k in range(len(w))]
    torch.testing.assert_close(torch.stack(factors).square().sum(0), unit)


def test_what_states_have_in_common_is_their_mean_without_noise() -> None:
    """Of a model that predicts ε and of one that predicts v: √ᾱ of the state that the step leads to, times mean x̂₀."""
    schedulers = [schedule(), schedule()]
    schedulers[1].register_to_config(prediction_type="v_prediction")
    for one in schedulers:
        one.set_timesteps(10)
    x0, eps = torch.randn(2, 2, 1, *SHAPES[64], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    here, there = alpha_bars(schedulers[0], 4)
    entering, states = (list(a.sqrt() * x0 + (1 - a).sqrt() * eps) for a in (here, there))
    predictions = [eps[0], here.sqrt() * eps[1] - (1 - here).sqrt() * x0[1]]
    found = common_mean(Mixing(4, states, [0.5, 0.5], schedulers, entering, predictions))
    torch.testing.assert_close(found, there.sqrt() * x0.mean(0))


def test_without_a_mean_it_is_equation_9() -> None:
    x, c = torch.randn(3, 2, 4, 4, 4, dtype=torch.float64), mixing_coefficients([0.47, 0.5], "nested")
    torch.testing.assert_close(lol_mix(list(x), c, torch.zeros_like(x[0])), spherical_aggregation(list(x), c))


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
def test_equal_models_of_separate_noise_give_the_law_of_the_single_model(d: int, count: int) -> None:
    """To what x̂₀ tells of the noise: mixed in step 10 of 20, where ᾱ is about 0.3."""
    model = isotropic(torch.full((d,), 2.0, dtype=torch.float64), 0.2)
    mean, cov = law(composition("mean-epsilon", weights=[1, 0]), [model] * 2, 20)

    def mixed(**settings: object) -> tuple[torch.Tensor, torch.Tensor]:
        made = composition(first_step=10, s=1, weights=[0.5] * (count - 1), **settings)
        found: tuple[torch.Tensor, torch.Tensor] = law_of_own_noise(made, [model] * count, 20)
        return found

    found = mixed(semantics="lol")
    torch.testing.assert_close(found[0], mean, atol=0, rtol=0.005)  # x_T has the mean 0, so x̂₀'s is a little off
    torch.testing.assert_close(found[1].diagonal(), cov.diagonal(), rtol=0.2, atol=0)
    plain = mixed(semantics="paper", eta=[0] * count, initial_noise="separate")
    assert (plain[0] - mean).abs().min() > 0.05


def test_an_empty_window_is_the_target() -> None:
    models, latents = spread(2, 2), torch.ones(1, *SHAPES[2], dtype=torch.float64)
    alone = composition("switch", s=0).sample(bound(models, latents), 10).latents["m0"]
    found = composition("lol", s=0, weights=[0.5]).sample(bound(models, latents), 10).latents["m0"]
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize("weights", [[0.5, 1.0], [0.0, 0.5]])
@pytest.mark.parametrize("eta", [[], [0.1, 0.1, 0.1]])
def test_a_picture_is_the_same_where_every_model_goes_on_to_its_own(weights: list[float], eta: list[float]) -> None:
    """A model of coefficient 0, which is evaluated for its own picture alone, is no part of the common mean."""
    latents = torch.ones(1, *SHAPES[64], dtype=torch.float64)
    made = composition("lol", s=3, weights=weights, eta=eta)
    alone, all_models = (
        made.sample(bound(spread(64, 3), latents), 6, finish_all=every).latents["m0"] for every in (False, True)
    )
    torch.testing.assert_close(all_models, alone)
