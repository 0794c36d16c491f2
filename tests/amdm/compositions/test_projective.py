"""Projective composition: exact where the models change coordinates of their own, biased where they share one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from amdm.errors import InputError
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

BASE = 1.5


def changed(d: int, parts: list[range]) -> Gaussian:
    """The base N(0, 1.5²), but N(1, 0.5²) in these coordinates."""
    mean, var = torch.zeros(d, dtype=torch.float64), torch.full((d,), BASE**2, dtype=torch.float64)
    for part in parts:
        mean[part], var[part] = 1.0, 0.25
    return Gaussian(mean, var)


@pytest.mark.parametrize("d", SHAPES)
def test_changes_of_unlike_coordinates_are_all_made_in_any_number_of_steps(d: int) -> None:
    parts = [range(0, 1), range(1, 2)] if d == 2 else [range(0, 20), range(20, 40), range(40, 50)]
    models = [*(changed(d, [part]) for part in parts), changed(d, [])]
    made = composition("projective", weights=[1] * len(parts))
    alone = composition("mean-epsilon", weights=[1, 0])
    for steps in (4, 20):
        assert_same_law(law(made, models, steps), law(alone, [changed(d, parts)] * 2, steps))


def test_changes_of_one_coordinate_come_out_too_narrow() -> None:
    narrow, base = spread(2, 1)[0], spread(2, 1, BASE)[0]
    found = std_of(law(composition("projective", weights=[1, 1]), [narrow, narrow, base], 250)[1])
    assert found == pytest.approx(std_at_the_end([1, 1, -1], [0.5, 0.5, BASE]), rel=0.04)
    assert found < 0.6 * (2 / 0.25 - 1 / BASE**2) ** -0.5


def test_weights() -> None:
    first, second, base = (*spread(2, 2), spread(2, 1, BASE)[0])
    alone = composition("mean-epsilon", weights=[1, 0])
    for weights, one in (([1, 0], first), ([0, 1], second), ([0, 0], base)):
        found = law(composition("projective", weights=weights), [first, second, base], 10)
        assert_same_law(found, law(alone, [one, one], 10))
    assert_same_law(law(composition("projective", weights=[1, 1]), [base] * 3, 10), law(alone, [base, base], 10))
    with pytest.raises(InputError, match=r"^models: are 2; projective takes 2 or more and, last, their base"):
        composition("projective", weights=[1, 1]).check(2, 20)


def test_what_is_composed_is_guided_by_the_target() -> None:
    """By its scale and against its unconditional prediction; those of the others are not asked."""
    u_mean, u_var = torch.full((2,), 3.0, dtype=torch.float64), torch.full((2,), 4.0, dtype=torch.float64)
    target, other, base = (*spread(2, 2), spread(2, 1, BASE)[0])
    target = replace(target, u_mean=u_mean, u_var=u_var, guidance_scale=3.0)
    other, base = (replace(one, u_mean=-u_mean, guidance_scale=7.0) for one in (other, base))
    alone = composition("mean-epsilon", weights=[1, 0])
    for weights, one in (([1, 0], target), ([0, 1], other), ([0, 0], base)):
        expected = replace(target, mean=one.mean, var=one.var)
        found = law(composition("projective", weights=weights), [target, other, base], 10)
        assert_same_law(found, law(alone, [expected, expected], 10))
