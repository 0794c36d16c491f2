"""The mathematics of the aggregation on small tensors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amdm.aggregation import (
    AggregationConfig,
    ddpm_mean,
    manifold_optimisation,
    mixing_coefficients,
    official,
    paper,
    sample_norm,
    spherical_aggregation,
    to_epsilon,
)
from amdm.errors import InputError

pytestmark = pytest.mark.numeric

WEIGHT = st.floats(0, 1)


def states(*seeds: int, batch: int = 2) -> list[torch.Tensor]:
    return [torch.randn(batch, 4, 6, 6, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in seeds]


@given(st.lists(WEIGHT, min_size=0, max_size=4))
def test_nested_squares_sum_to_one(weights: list[float]) -> None:
    coefficients = mixing_coefficients(weights, "nested")
    assert len(coefficients) == len(weights) + 1
    assert sum(c * c for c in coefficients) == pytest.approx(1)


def test_first_coefficient_is_the_targets() -> None:
    assert mixing_coefficients((0.5,), "nested") == pytest.approx((0.5, math.sqrt(0.75)))
    assert mixing_coefficients((0.5,), "official") == pytest.approx((0.5, math.sqrt(0.75)))
    w1, w2 = 0.47, 0.5
    assert mixing_coefficients((w1, w2), "nested")[2] == pytest.approx(math.sqrt(1 - w2**2))


@given(WEIGHT, WEIGHT)
def test_official_squares_fall_short_of_one(w1: float, w2: float) -> None:
    squares = sum(c * c for c in mixing_coefficients((w1, w2), "official"))
    assert squares == pytest.approx(1 - w1**2 * (1 - w2**2))


def test_official_form_ends_at_three_models() -> None:
    with pytest.raises(InputError, match="coefficients"):
        mixing_coefficients((0.5, 0.5, 0.5), "official")


def test_aggregate_of_one_state_with_itself_grows_unless_rescaled() -> None:
    (x,) = states(0)
    c = (0.5, math.sqrt(0.75))
    assert torch.allclose(spherical_aggregation([x, x], c), (0.5 + math.sqrt(0.75)) * x)
    assert torch.allclose(spherical_aggregation([x, x], c, mix_norm="preserving"), x)


def test_preserved_norm_is_that_of_each_sample() -> None:
    x, y = states(0, 1)
    y = y * torch.tensor([1.0, 3.0], dtype=torch.float64).view(2, 1, 1, 1)
    mixed = spherical_aggregation([x, y], (0.6, 0.8), mix_norm="preserving")
    expected = (0.36 * sample_norm(x) ** 2 + 0.64 * sample_norm(y) ** 2).sqrt()
    assert torch.allclose(sample_norm(mixed), expected)
    assert torch.allclose(mixed / sample_norm(mixed), (0.6 * x + 0.8 * y) / sample_norm(0.6 * x + 0.8 * y))


def test_opposite_states_mix_to_zero_not_nan() -> None:
    (x,) = states(0)
    assert torch.equal(spherical_aggregation([x, -x], (0.6, 0.6), mix_norm="preserving"), torch.zeros_like(x))


@given(st.floats(0, 100))
def test_pull_back_moves_each_sample_by_eta_towards_its_mean(eta: float) -> None:
    x, mu = states(0, 1)
    moved = manifold_optimisation(x, mu, eta)
    assert torch.allclose(sample_norm(moved - x), torch.full((2, 1, 1, 1), eta, dtype=torch.float64))
    distance = sample_norm(x - mu)
    assert torch.allclose(sample_norm(moved - mu), (distance - eta).abs())
    alone = manifold_optimisation(x[1:], mu[1:], eta)
    assert torch.allclose(moved[1:], alone, rtol=1e-12)  # another sample of the batch changes nothing


def test_pull_back_from_the_mean_itself_stays() -> None:
    x, mu = states(0, 1)
    mu[0] = x[0]
    moved = manifold_optimisation(x, mu, 3.0)
    assert torch.equal(moved[0], x[0])
    assert torch.isfinite(moved).all()


def test_pull_back_of_one_bad_sample_leaves_the_other() -> None:
    x, mu = states(0, 1)
    x[0, 0, 0, 0] = math.nan
    assert torch.isfinite(manifold_optimisation(x, mu, 3.0)[1]).all()


def test_epsilon_of_a_v_prediction() -> None:
    x0, noise = states(0, 1)
    a = torch.tensor(0.3, dtype=torch.float64)
    x = a.sqrt() * x0 + (1 - a).sqrt() * noise
    v = a.sqrt() * noise - (1 - a).sqrt() * x0
    assert torch.allclose(to_epsilon(v, x, a, "v_prediction"), noise)
    assert to_epsilon(noise, x, a, "epsilon") is noise
    with pytest.raises(InputError, match="prediction_type"):
        to_epsilon(noise, x, a, "sample")


def test_ddpm_mean_is_the_posterior_mean() -> None:
    """Of q(x_{t−1} | x_t, x₀), with x₀ from ε: √ᾱ₋β/(1−ᾱ)·x₀ + √α(1−ᾱ₋)/(1−ᾱ)·x_t, ᾱ₋ = ᾱ/α."""
    x, noise = states(0, 1)
    alpha, alpha_bar = (torch.tensor(v, dtype=torch.float64) for v in (0.98, 0.4))
    before = alpha_bar / alpha
    x0 = (x - (1 - alpha_bar).sqrt() * noise) / alpha_bar.sqrt()
    expected = (before.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - before) * x) / (1 - alpha_bar)
    assert torch.allclose(ddpm_mean(x, noise, alpha, alpha_bar), expected)


def test_presets_differ_in_every_field_that_the_table_names() -> None:
    ours, theirs = paper(3, [0.5], [45, 55]), official(3, [0.5], [45, 55])
    for config, expected in (
        (ours, ("shared", 0, "ddim", "nested")),
        (theirs, ("separate", 1, "ddpm_previous", "official")),
    ):
        assert (config.initial_noise, config.first_step, config.mean, config.coefficients) == expected
    assert official(3, [0.5], [45, 55], initial_noise="shared").initial_noise == "shared"


def test_window() -> None:
    assert paper(3, [0.5], [1, 1]).steps(50) == range(0, 3)
    assert official(3, [0.5], [1, 1]).steps(50) == range(1, 4)
    assert list(paper(0, [0.5], [1, 1]).steps(50)) == []
    assert paper(4, [0.5], [1, 1]).steps(4) == range(0, 4)
    with pytest.raises(InputError, match=r"^s: "):
        official(4, [0.5], [1, 1]).steps(4)


def test_eta_relative_to_the_latent_size() -> None:
    relative = paper(3, [0.5], [45 / 128, 55 / 128], eta_unit="sqrt_dim")
    assert relative.eta_in_latent_units(4 * 64 * 64) == pytest.approx((45, 55))
    assert paper(3, [0.5], [45, 55]).eta_in_latent_units(64) == (45, 55)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("s", -1),
        ("s", 2.0),
        ("s", True),
        ("first_step", -1),
        ("weights", (1.5,)),
        ("weights", (-0.1,)),
        ("weights", (math.nan,)),
        ("weights", ("0.5",)),
        ("weights", [0.5]),
        ("eta", (1, -1)),
        ("eta", (1, math.inf)),
        ("eta_unit", "pixels"),
        ("initial_noise", "same"),
        ("mean", "ddpm"),
        ("coefficients", "flat"),
        ("mix_norm", "unit"),
        ("mix_norm", "slerp"),  # a composition's own, not equation 9's
        ("pull_back", 0),
    ],
)
def test_bad_fields_are_named(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{field}(\[\d\])?: "):
        AggregationConfig(**({"s": 3, "weights": (0.5,), "eta": (1, 1)} | {field: value}))


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(InputError, match=r"^window: "):
        official(3, [0.5], [1, 1], window="first")


def test_fields_that_contradict_each_other() -> None:
    with pytest.raises(InputError, match="first_step"):
        paper(3, [0.5], [1, 1], mean="ddpm_previous")
    with pytest.raises(InputError, match="eta"):
        paper(3, [0.5], [1, 1], pull_back=False)


@pytest.mark.parametrize(
    ("config", "models", "field"),
    [
        (paper(3, [0.5], [1, 1]), 3, "weights"),
        (paper(3, [0.5, 0.5], [1, 1]), 3, "eta"),
        (paper(3, [], []), 1, "eta"),
        (official(3, [0.5] * 3, [1] * 4), 4, "coefficients"),
    ],
)
def test_counts_must_fit_the_models(config: AggregationConfig, models: int, field: str) -> None:
    with pytest.raises(InputError, match=field):
        config.check_models(models)
