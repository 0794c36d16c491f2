"""The bounds of the other tests: wide enough for another order of additions, and far too narrow for a mistake."""

from __future__ import annotations

import pytest
import torch

from tests.closeness import ROUNDING, assert_same, farthest, nudged, rounding_bound, to_double

pytestmark = pytest.mark.numeric


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(512, 512) for _ in range(4)]
    return torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.Tanh()))).requires_grad_(False)


def turned(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The same network with the columns of its first layer in reverse: sums are added up in another order."""
    first = model[0]  # type: ignore[index]
    return model[1:](x.flip(1) @ first.weight.flip(1).T + first.bias)  # type: ignore[index]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_nudge_is_one_float32_rounding_of_every_entry(dtype: torch.dtype) -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    share = (nudged(x).double() - x.double()).abs() / x.double().abs()
    assert share.min() >= 0.99 * ROUNDING and share.max() <= 2.01 * ROUNDING
    assert nudged(x).dtype == dtype and not torch.equal(nudged(x, 1), nudged(x))


def test_another_order_of_additions_is_within_the_bound_and_a_mistake_is_not() -> None:
    model, x = network(), torch.randn(2, 512, generator=torch.Generator().manual_seed(1))
    bound = rounding_bound(lambda model, x: model(x), model, x)
    assert 0 < farthest(turned(model, x), model(x)) <= bound
    leaking = x + 1e-3 * x.flip(0)  # a sample reads a thousandth of the other
    assert farthest(model(leaking), model(x)) > 10 * bound
    assert bound < 1e-4


def test_in_float64_only_what_is_equal_is_the_same() -> None:
    model, x = to_double(network()), torch.randn(2, 512, generator=torch.Generator().manual_seed(1)).double()
    assert_same(turned(model, x), model(x))
    assert_same(turned(model, x).float(), model(x).float())
    with pytest.raises(AssertionError):
        assert_same(model(x + 1e-5 * x.flip(0)), model(x))


def test_a_model_is_copied_and_not_changed() -> None:
    model = network()
    before = model[0].weight.clone()  # type: ignore[index]
    assert to_double(model)[0].weight.dtype == torch.float64  # type: ignore[index]
    assert not torch.equal(nudged(model)[0].weight, before)  # type: ignore[index]
    assert model[0].weight.dtype == torch.float32 and torch.equal(model[0].weight, before)  # type: ignore[index]


def test_an_input_that_does_not_reach_the_result_gives_no_bound() -> None:
    with pytest.raises(AssertionError, match="do not reach"):
        rounding_bound(lambda x: torch.ones(3), torch.ones(3))
