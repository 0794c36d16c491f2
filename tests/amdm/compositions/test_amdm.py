"""AMDM and slerp on Gaussians: whose law the weights 0 and 1 give, what equation 9 does to equal models, and equation
10 where it goes all the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from amdm.aggregation import mixing_coefficients
from amdm.sampler import Step
from tests.amdm.compositions.gaussians import (
    SHAPES,
    assert_same_law,
    bound,
    composition,
    isotropic,
    law,
    law_of_own_noise,
    spread,
)

STEPS = 10
FORM = {"paper": "nested", "official": "official"}
MIXES = ("paper", "official", "slerp", "true-slerp", "lol")


def mixing(semantics: str, count: int, weight: float, **window: int) -> Any:
    """Without a pull-back."""
    still = {"eta": [0] * count} if semantics in FORM else {}
    return composition(semantics, weights=[weight] * (count - 1), **window, **still)


def alone(model: Any) -> Any:
    return law(composition("mean-epsilon", weights=[1, 0]), [model, model], STEPS)


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("semantics", MIXES)
def test_a_weight_of_1_is_the_target_and_one_of_0_the_last_model(semantics: str, count: int, d: int) -> None:
    models = spread(d, count, [0.5, 1.0, 0.8][:count])
    s = STEPS - (semantics == "official")  # its window begins at step 1
    for weight, one in ((1.0, models[0]), (0.0, models[-1])):
        assert_same_law(law(mixing(semantics, count, weight, s=s), models, STEPS), alone(one))


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("semantics", FORM)
def test_of_equal_models_equation_9_multiplies_the_mean(semantics: str, count: int, d: int) -> None:
    """After step 4 a state is p·x_T + q, and the rest multiplies it by r. Mixed, q comes out times Σ c; and p²r², which
    is the covariance, times Σ c² where every model has noise of its own, and times (Σ c)² where they share it."""
    model = isotropic(torch.full((d,), 2.0, dtype=torch.float64), 0.5)
    mean, cov = alone(model)
    states: list[torch.Tensor] = []

    def callback(step: Step) -> None:
        if step.index == 4:
            states.append(step.leaving["m0"].flatten(1))

    start = torch.stack([torch.zeros(SHAPES[d]), torch.ones(SHAPES[d])]).double()
    ends = composition("switch", s=0).sample(bound([model] * 2, start), STEPS, callback).latents["m0"].flatten(1)
    q, r = states[0][0], (ends[1] - ends[0]) / (states[0][1] - states[0][0])
    c = mixing_coefficients([0.5] * (count - 1), FORM[semantics])  # type: ignore[arg-type]
    made = mixing(semantics, count, 0.5, first_step=4, s=1)
    moved = mean + r * q * (sum(c) - 1)
    assert (moved - mean).abs().min() > 0.1
    assert_same_law(law_of_own_noise(made, [model] * count, STEPS), (moved, cov * sum(one * one for one in c)))
    assert_same_law(law(made, [model] * count, STEPS), (moved, cov * sum(c) ** 2))


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("semantics", ["slerp", "true-slerp"])
def test_equal_models_of_one_noise_are_the_single_model_on_the_sphere(semantics: str, count: int, d: int) -> None:
    found = law(mixing(semantics, count, 0.5, s=3), [spread(d, 1)[0]] * count, STEPS)
    assert_same_law(found, alone(spread(d, 1)[0]))


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
def test_a_pull_back_as_long_as_the_distance_leaves_the_target_alone(count: int, d: int) -> None:
    models = bound(spread(d, count), torch.ones(1, *SHAPES[d], dtype=torch.float64))
    mixed: list[float] = []

    def callback(step: Step) -> None:
        if step.index == 2:
            away = (step.leaving["m0"] - step.stepped[name] for name in ("m0", "m1", "m2")[:count])
            mixed.extend(float(one.norm()) for one in away)

    window = {"first_step": 2, "s": 1, "weights": [0.5] * (count - 1)}
    composition("paper", eta=[0] * count, **window).sample(models, STEPS, callback)
    found = composition("paper", eta=mixed, **window).sample(models, STEPS).latents["m0"]
    single = composition("switch", s=0).sample(models, STEPS).latents["m0"]
    torch.testing.assert_close(found, single)
    half = composition("paper", eta=[one / 2 for one in mixed], **window).sample(models, STEPS).latents["m0"]
    assert (half - single).abs().max() > 0.01
