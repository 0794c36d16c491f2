"""Taking turns: the mean of predictions in many steps, and one evaluation in each."""

from __future__ import annotations

import pytest

from amdm.compositions.alternate import whose_turn
from tests.amdm.compositions.gaussians import SHAPES, assert_same_law, composition, law, spread


def test_turns() -> None:
    assert [whose_turn(j, 2, 3) for j in range(8)] == [0, 0, 1, 1, 2, 2, 0, 0]
    assert composition("alternate", tau=2, first_step=1, s=5).evaluations(2, 10) == [3 + 5, 2]
    assert composition("alternate").evaluations(2, 20) == [10, 10]


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize("count", [2, 3])
def test_from_200_steps_on_it_is_the_mean_of_predictions(d: int, count: int) -> None:
    models = spread(d, count)
    scale = max(float(model.mean.abs().max()) for model in models)

    def error(steps: int, tau: int = 1) -> float:
        mean, cov = law(composition("alternate", tau=tau), models, steps)
        limit, same = law(composition("mean-epsilon", weights=[1] * count), models, steps)
        assert (cov - same).abs().max() < 1e-9  # of one covariance, whoever steps
        return float((mean - limit).abs().max()) / scale

    assert error(10) > 0.01 and error(200) < 0.005
    assert error(200) < error(200, tau=5) < 0.05


def test_equal_models_give_the_single_model() -> None:
    model = spread(2, 1)[0]
    alone = law(composition("mean-epsilon", weights=[1, 0]), [model] * 2, 10)
    assert_same_law(law(composition("alternate", tau=3), [model] * 2, 10), alone)
