"""A plain switch: the auxiliary's law where the window is everything, the target's where it is empty."""

from __future__ import annotations

import pytest
import torch

from amdm.aggregation import paper
from amdm.sampler import aggregate_sample
from tests.amdm.compositions.gaussians import SHAPES, assert_same_law, bound, composition, law, spread


@pytest.mark.parametrize("d", SHAPES)
def test_the_window_decides_whose_law_it_is(d: int) -> None:
    models = spread(d, 2, [0.5, 1.0])
    alone = composition("mean-epsilon", weights=[1, 0])
    for s, one in ((0, models[0]), (None, models[1])):
        assert_same_law(law(composition("switch", s=s), models, 10), law(alone, [one, one], 10))


@pytest.mark.parametrize("d", SHAPES)
def test_auxiliaries_share_the_window(d: int) -> None:
    """Half of the steps each: two models that take turns once."""
    target, first, second = spread(d, 3, [0.8, 0.5, 1.0])
    found = law(composition("switch"), [target, first, second], 10)
    assert_same_law(found, law(composition("alternate", tau=5), [first, second], 10))
    assert composition("switch", first_step=2, s=6).evaluations(3, 20) == [14, 3, 3]
    assert composition("switch", s=3).evaluations(2, 20) == [17, 3]


def test_it_begins_as_the_noise_of_the_model_that_steps_first() -> None:
    models = bound(spread(2, 2), torch.zeros(1, *SHAPES[2], dtype=torch.float64))
    models[1].latents = models[1].latents + 1
    for first_step, expected in ((0, 1.0), (1, 0.0)):
        seen: list[torch.Tensor] = []
        made = composition("switch", first_step=first_step, s=2)
        made.sample(models, 4, lambda step, seen=seen: seen.append(step.entering["m0"]) and None)
        assert float(seen[0].mean()) == expected
    assert not made.shares_noise


def test_to_the_byte_it_is_equation_9_with_the_weight_0_and_no_pull_back() -> None:
    start = torch.randn(2, 2, *SHAPES[64], generator=torch.Generator().manual_seed(4))
    models = bound(spread(64, 2, [0.5, 1.0]), start[0])
    models[1].latents = start[1]
    by_aggregation = aggregate_sample(models, 20, paper(3, [0.0], [], initial_noise="separate", pull_back=False))
    switched = composition("switch", s=3).sample(models, 20)
    assert torch.equal(switched.latents["m0"], by_aggregation.latents["m0"])
    assert switched.evaluations == by_aggregation.evaluations
