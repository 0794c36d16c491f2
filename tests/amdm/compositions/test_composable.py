"""Composable AND: guidance of one model, the product without noise, and its bias with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from amdm.compositions.composable import composable
from tests.amdm.compositions.gaussians import (
    SHAPES,
    Gaussian,
    assert_same_law,
    composition,
    law,
    spread,
    std_at_the_end,
    std_of,
)


def conditional(d: int, count: int, guidance: float = 1.0) -> list[Gaussian]:
    """Of standard deviation 0.5 within an unconditional one of 2 about 0."""
    u = {"u_mean": torch.zeros(d, dtype=torch.float64), "u_var": torch.full((d,), 4.0, dtype=torch.float64)}
    return [Gaussian(one.mean, one.var, **u, guidance_scale=guidance) for one in spread(d, count)]


def test_one_weight_is_guidance() -> None:
    u, c, other = torch.randn(3, 2, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(composable(u, [c, other], [7.5, 0.0]), u + 7.5 * (c - u))
    torch.testing.assert_close(composable(u, [c, other], [0.0, 0.0]), u)
    torch.testing.assert_close(composable(u, [c, c], [0.5, 0.5]), c)


@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.5, 0.5]])
def test_equal_models_give_the_single_model(weights: list[float]) -> None:
    model = conditional(2, 1, guidance=3.0)[0]
    alone = law(composition("mean-epsilon", weights=[1, 0]), [model, model], 10)
    assert_same_law(law(composition("composable", weights=weights), [model, model], 10), alone)


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
def test_the_product_comes_out_too_narrow(d: int, count: int) -> None:
    """Σ precisions is what u·Π cᵢ/u has; the ODE along the sum of noised scores gives a std near 0 from high noise."""
    made = composition("composable", weights=[1] * count)
    found = {steps: std_of(law(made, conditional(d, count), steps)[1]) for steps in (50, 250)}
    limit = std_at_the_end([1] * count + [1 - count], [0.5] * count + [2.0])
    product = (count / 0.25 + (1 - count) / 4) ** -0.5
    assert abs(found[250] / limit - 1) < 0.03 * (count - 1) < 0.4 * abs(found[50] / limit - 1)
    assert found[250] < 0.4 * product


def test_without_weights_it_is_the_targets_unconditional_law() -> None:
    target, other = conditional(2, 2, guidance=3.0)
    assert target.u_mean is not None and target.u_var is not None
    other = replace(other, u_mean=target.u_mean + 3)
    u = Gaussian(target.u_mean, target.u_var)
    found = law(composition("composable", weights=[0, 0]), [target, other], 10)
    assert_same_law(found, law(composition("mean-epsilon", weights=[1, 0]), [u, u], 10))
