"""The mean of predictions: the geometric mean of densities where covariances agree, and how far from it elsewhere."""

from __future__ import annotations

import pytest

from amdm.errors import InputError
from tests.amdm.compositions.gaussians import (
    SHAPES,
    assert_same_law,
    composition,
    isotropic,
    law,
    spread,
    std_at_the_end,
    std_of,
)


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
def test_models_of_one_covariance_give_their_geometric_mean_in_any_number_of_steps(d: int, count: int) -> None:
    models = spread(d, count)
    w = [1.0, 3.0, 2.0][:count]
    mean = sum(one * model.mean for one, model in zip(w, models, strict=True)) / sum(w)
    for steps in (3, 20):
        alone = law(composition("mean-epsilon", weights=[1, 0]), [isotropic(mean, 0.5)] * 2, steps)
        assert_same_law(law(composition("mean-epsilon", weights=w), models, steps), alone)


def test_what_a_model_draws_alone_is_its_law_from_200_steps_on() -> None:
    def error(steps: int) -> float:
        mean, cov = law(composition("mean-epsilon", weights=[1, 1]), spread(2, 1) * 2, steps)
        assert (mean / spread(2, 1)[0].mean - 1).abs().max() < 0.02  # 1 − 0.5/σ, as x_T has the mean 0
        return abs(std_of(cov) / 0.5 - 1)

    assert 0.08 < error(20) < 0.09 and 0.034 < error(50) < 0.036 and error(200) < 0.01


@pytest.mark.parametrize("d", SHAPES)
def test_models_of_unlike_covariance_give_the_geometric_mean_of_stds(d: int) -> None:
    """√(S₁S₂), where the geometric mean of densities has the harmonic mean of variances."""
    models = spread(d, 2, [0.5, 1.0])
    found = std_of(law(composition("mean-epsilon", weights=[1, 1]), models, 200)[1])
    limit, promised = std_at_the_end([0.5, 0.5], [0.5, 1.0]), (2 / (1 / 0.25 + 1)) ** 0.5
    assert limit == pytest.approx(0.5**0.5, abs=1e-3)
    assert found == pytest.approx(limit, rel=0.01) and found > 1.1 * promised


@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.0, 1.0]])
def test_a_weight_of_one_is_that_model(weights: list[float]) -> None:
    models = spread(2, 2, [0.5, 1.0])
    one = models[weights.index(1.0)]
    made = composition("mean-epsilon", weights=weights)
    assert_same_law(law(made, models, 10), law(made, [one, one], 10))


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"^weights: 1 for 2 models"):
        composition("mean-epsilon", weights=[1]).check(2, 20)
    for weights in ([1, -1, 0], [0, 0, 0], [0.1, 0.2, -0.3]):
        with pytest.raises(InputError, match=r"^weights: sum to 0"):
            composition("mean-epsilon", weights=weights).check(3, 20)
