"""SuperDiff AND: densities that change equally, κ where they cannot differ, and the bias of unlike curvatures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from amdm.compositions.superdiff import superdiff_and
from amdm.errors import InputError
from tests.amdm.compositions.gaussians import SHAPES, Gaussian, composition, drawn, isotropic, spread

SIGMA, DSIGMA, G = 3.0, -0.2, 2.0


def made_up(count: int) -> list[torch.Tensor]:
    return list(torch.randn(count, 3, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("count", [2, 3])
def test_all_log_densities_change_equally(count: int) -> None:
    u, noise, *eps = made_up(2 + count)
    dx, kappa = superdiff_and(eps, u, G, DSIGMA, noise)

    def change(e: torch.Tensor) -> torch.Tensor:
        return (-(e * dx) / SIGMA - abs(DSIGMA) * e * e / SIGMA).flatten(1).sum(1)

    for e in eps[1:]:
        torch.testing.assert_close(change(e), change(eps[0]))
    torch.testing.assert_close(kappa.sum(1), torch.ones(3, dtype=torch.float64))
    mixed = sum(kappa[:, k].reshape(-1, 1, 1, 1) * e for k, e in enumerate(eps))
    torch.testing.assert_close(dx, 2 * DSIGMA * (u + G * (mixed - u)) + noise)


def test_kappa_of_two_is_the_sources() -> None:
    u, noise, e1, e2 = made_up(4)
    dx_ind = 2 * DSIGMA * (u + G * (e2 - u)) + noise
    above = abs(DSIGMA) * ((e2 - e1) * (e2 + e1)).flatten(1).sum(1) - (dx_ind * (e1 - e2)).flatten(1).sum(1)
    expected = above / (2 * DSIGMA * G * (e1 - e2).flatten(1).square().sum(1))
    torch.testing.assert_close(superdiff_and([e1, e2], u, G, DSIGMA, noise)[1][:, 0], expected)


@pytest.mark.parametrize("count", [2, 3])
def test_kappa_is_even_where_predictions_agree_and_finite_where_they_nearly_do(count: int) -> None:
    u, noise, e = made_up(3)
    dx, kappa = superdiff_and([e] * count, u, G, DSIGMA, noise)
    torch.testing.assert_close(kappa, torch.full((3, count), 1 / count, dtype=torch.float64))
    torch.testing.assert_close(dx, 2 * DSIGMA * (u + G * (e - u)) + noise)
    for near in (1e-6, 1e-12):
        dx, kappa = superdiff_and([e + near * u, e, e.clone()][:count], u, G, DSIGMA, noise)
        assert kappa.isfinite().all() and dx.abs().max() < 10
    two_agree, _ = superdiff_and([e, e, u], u, G, DSIGMA, noise)
    torch.testing.assert_close(two_agree, superdiff_and([e, u], u, G, DSIGMA, noise)[0])


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
def test_models_of_one_covariance_end_at_equal_densities_in_any_number_of_steps(d: int, count: int) -> None:
    models = spread(d, count)
    for steps in (5, 20):
        x = drawn(composition("superdiff-and"), models, steps, 20)
        logs = torch.stack([model.log_density(x) for model in models])
        # As unequal as at x_T, where densities of σ = 37 hardly differ; each model's own draws are unequal by
        # ‖m₁−m₂‖²/2S², 10 and more.
        apart = (models[0].mean - models[1].mean).norm() * 4 / 37
        assert (logs - logs[0]).abs().max() < apart


def test_the_narrower_model_ends_ahead_by_the_curvature_that_is_left_out() -> None:
    """Itô's estimate takes noise to go in all directions, and κ takes it away along ε₁ − ε₂. What it misses there is
    ½∫(1/(S₂²+v) − 1/(S₁²+v))dv = ln(S₁/S₂) in log q₂ − log q₁."""
    models = [isotropic([1.0, 0.0], 0.5), isotropic([0.0, 2.0], 1.0)]
    spreads = []
    for steps in (20, 100):
        x = drawn(composition("superdiff-and"), models, steps, 100)
        ahead = models[0].log_density(x) - models[1].log_density(x)
        assert float(ahead.mean()) == pytest.approx(math.log(2), abs=0.1)
        spreads.append(float(ahead.std()))
    assert spreads[1] < 0.8 * spreads[0] < 0.25


def test_equal_models_give_the_single_model() -> None:
    model = isotropic([1.0, -1.0], 0.5)
    two = drawn(composition("superdiff-and"), [model] * 2, 100, 200)
    assert torch.equal(two, drawn(composition("superdiff-and"), [model] * 3, 100, 200))
    assert (two.mean(0) - model.mean).abs().max() < 4 * 0.5 / 200**0.5
    assert float(two.std(0).mean()) == pytest.approx(0.5, abs=0.07)  # three standard errors, and 3 % of the steps


def test_a_target_without_guidance_is_refused_where_it_would_divide_by_0() -> None:
    models = spread(2, 2)
    models[0].guidance_scale = 0.0
    with pytest.raises(InputError, match=r"^guidance_scale: is 0 of m0, and superdiff-and goes along what"):
        drawn(composition("superdiff-and"), models, 5, 1)
    assert drawn(composition("superdiff-and", s=0), models, 5, 1).isfinite().all() and models[1].calls == 0


def test_guidance_and_the_unconditional_prediction_are_the_targets() -> None:
    away = torch.full((2,), 3.0, dtype=torch.float64)
    target, other = (replace(one, u_mean=away, guidance_scale=2.0) for one in spread(2, 2))
    changed = {"u_mean": -away, "guidance_scale": 5.0}

    def picture(*models: Gaussian) -> torch.Tensor:
        return drawn(composition("superdiff-and"), models, 5, 2)

    plain = picture(target, other)
    assert torch.equal(picture(target, replace(other, **changed)), plain)
    for name, value in changed.items():
        assert (picture(replace(target, **{name: value}), other) - plain).abs().max() > 0.1
