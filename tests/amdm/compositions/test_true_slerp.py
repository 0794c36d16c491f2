"""Slerp by the angle that states have: on the sphere, eq. 9 at a right angle, and nothing where they are equal."""

from __future__ import annotations

import math

import pytest
import torch

from amdm.aggregation import mixing_coefficients, spherical_aggregation
from amdm.compositions.true_slerp import slerp


def states(*angles: float, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """On the unit circle of a plane."""
    return [torch.tensor([math.cos(a), math.sin(a)], dtype=dtype).reshape(1, 2, 1, 1) for a in angles]


@pytest.mark.parametrize("w", [0.0, 0.3, 0.5, 1.0])
def test_the_angle_is_divided(w: float) -> None:
    c = mixing_coefficients([w], "nested")
    tau = 1 - 2 / math.pi * math.asin(w)
    for angle in (0.2, 1.0, math.pi / 2, 3.0):
        torch.testing.assert_close(slerp(states(0.0, angle), c), states(tau * angle)[0])
    right = states(0.0, math.pi / 2)
    torch.testing.assert_close(slerp(right, c), spherical_aggregation(right, c))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_on_a_line_and_nothing(dtype: torch.dtype) -> None:
    c = mixing_coefficients([0.5], "nested")
    for angle in (0.0, 1e-9, 1e-5, 3e-4):
        torch.testing.assert_close(
            slerp(states(0.0, angle, dtype=dtype), c), states(0.0, dtype=dtype)[0], atol=4e-4, rtol=0
        )
    assert slerp(states(0.0, math.pi, dtype=dtype), c).isfinite().all()
    zero = torch.zeros(1, 2, 1, 1, dtype=dtype)
    assert torch.equal(slerp([zero, zero], c), zero)


def test_three_states_one_after_another_and_samples_apart() -> None:
    x = torch.randn(3, 2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w, c = [0.47, 0.5], mixing_coefficients([0.47, 0.5], "nested")
    first = slerp(list(x[:2]), mixing_coefficients(w[:1], "nested"))
    torch.testing.assert_close(slerp(list(x), c), slerp([first, x[2]], mixing_coefficients(w[1:], "nested")))
    torch.testing.assert_close(slerp(list(x), c)[1:], slerp(list(x[:, 1:]), c))
    torch.testing.assert_close(slerp([x[0]] * 3, c), x[0])
