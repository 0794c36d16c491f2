"""Projective composition: exact where the models change coordinates of their own, biased where they share one."""

from __future__ import annotations

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
