"""Numbers of NumPy and torch are numbers, wherever a caller hands one over; a bool is none."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from amdm.aggregation import AggregationConfig, official
from amdm.errors import InputError
from amdm.layout import Instance, Layout
from amdm.pipeline import AMDMPipeline
from amdm.pipeline_inputs import sample_layouts
from amdm.plain_number import checked_number, plain

BOX = (0.125, 0.25, 0.5, 0.75)  # exact in every floating type


@pytest.mark.parametrize(
    "box",
    [
        np.array(BOX),
        np.array(BOX, dtype=np.float16),
        torch.tensor(BOX),
        torch.tensor(BOX, dtype=torch.bfloat16),
        torch.tensor(BOX, requires_grad=True),
        np.array(BOX, dtype=np.longdouble),
        tuple(np.float32(BOX)),
        list(torch.tensor(BOX)),
        [np.float64(BOX[0]), torch.tensor(BOX[1]), np.array(BOX[2]), BOX[3]],
        [Fraction(1, 8), Decimal("0.25"), Fraction(0.5), Decimal("0.75")],
    ],
)
def test_a_box_becomes_pythons_floats(box: Any) -> None:
    found = Instance("a ring", box).box
    assert found == BOX and all(type(value) is float for value in found)


def test_whole_numbers() -> None:
    assert Instance("a ring", np.array([0, 0, 1, 1])).box == (0.0, 0.0, 1.0, 1.0)  # type: ignore[arg-type]
    assert Instance("a", (np.int64(0), torch.tensor(0), np.uint8(1), 1)).box == (0.0, 0.0, 1.0, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("box", "what"),
    [
        (np.array([True, True, True, True]), "x1 is not a finite number"),
        ((np.bool_(False), 0.0, 1.0, 1.0), "x1 is not a finite number"),
        (torch.tensor([0.0, 0.0, 1.0, float("nan")]), "y2 is not a finite number"),
        (np.array([0.0, 0.0, np.inf, 1.0]), "x2 is not a finite number"),
        (torch.zeros(3), "must be four numbers"),
        (torch.zeros(1, 4), "must be four numbers"),
        (torch.zeros(4, 1), "x1 is not a finite number"),
        (np.float32(0.5), "must be four numbers"),
        (torch.empty(4, device="meta"), "must be four numbers"),
        (torch.tensor(BOX).to_sparse(), "must be four numbers"),
        (np.array(BOX, dtype=np.clongdouble), "x1 is not a finite number"),
        ((Decimal("NaN"), 0, 1, 1), "x1 is not a finite number"),
        ((Decimal("sNaN"), 0, 1, 1), "x1 is not a finite number"),
        ((0, 0, Fraction(10**400), 1), "x2 is not a finite number"),
        (np.array(["a", "b", "c", "d"]), "x1 is not a finite number"),
        (np.array([0.0, 0.0, 1.5, 1.0]), r"x2 = 1.5 is outside \[0, 1\]"),
        (np.array([0.5, 0.0, 0.5, 1.0]), "x2 ≤ x1"),
    ],
)
def test_what_is_no_box_stays_none(box: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        Instance("a ring", box)


def test_an_aggregation() -> None:
    expected = AggregationConfig(3, (0.5,), (4.0, 5.0), first_step=1)
    for s, weights, eta in (
        (np.int64(3), np.array([0.5]), np.array([4.0, 5.0])),
        (torch.tensor(3), torch.tensor([0.5]), torch.tensor([4.0, 5.0])),
        (3, (np.float32(0.5),), (torch.tensor(4.0), np.int32(5))),
        (3, (Fraction(1, 2),), (Decimal(4), Fraction(5))),
    ):
        found = AggregationConfig(s, weights, eta, first_step=np.int8(1))  # type: ignore[arg-type]
        assert found == expected and hash(found) == hash(expected)
        assert all(type(value) in (int, float) for value in (found.s, found.first_step, *found.weights, *found.eta))
    assert official(np.int64(3), np.array([0.5]), torch.tensor([4.0, 5.0])).eta == (4.0, 5.0)  # type: ignore[arg-type]
    for s, weights in (
        (np.bool_(True), (0.5,)),
        (np.float64(3), (0.5,)),
        (Fraction(3), (0.5,)),
        (3, np.array([True])),
        (3, np.array([1.5])),
    ):
        with pytest.raises(InputError):
            AggregationConfig(s, weights, (4.0, 5.0))  # type: ignore[arg-type]


def test_a_call() -> None:
    pipe = AMDMPipeline.from_pretrained("mini", "migc")
    pipe.set_progress_bar_config(disable=True)
    layout = Layout("a photo of a red ring ", (Instance("a red ring", BOX),))

    def drawn(**given: Any) -> torch.Tensor:
        return pipe(layout, generator=torch.Generator().manual_seed(0), output_type="pt", **given).images

    expected = drawn(num_inference_steps=2, guidance_scale=3.0, height=64, width=72)
    for whole, real in ((np.int64, np.float32), (torch.tensor, torch.tensor), (np.array, np.array)):
        given = {"num_inference_steps": whole(2), "height": whole(64), "width": whole(72), "guidance_scale": real(3.0)}
        assert torch.equal(drawn(**given, num_images_per_prompt=whole(1)), expected)
    for name, value in (
        ("num_inference_steps", np.bool_(True)),
        ("guidance_scale", np.bool_(True)),
        ("height", torch.tensor([64, 64])),
        ("num_inference_steps", np.float32(2.5)),
    ):
        with pytest.raises(InputError, match=name):
            drawn(**{name: value})


def test_copies() -> None:
    assert len(sample_layouts("a", None, None, np.int64(3))) == 3  # type: ignore[arg-type]
    with pytest.raises(InputError, match="num_images_per_prompt"):
        sample_layouts("a", None, None, np.bool_(True))  # type: ignore[arg-type]


def test_anything_else_stays_as_it_is() -> None:
    for value in ("3", None, True, 3, 2.5, (1, 2), [1]):
        assert plain(value) is value


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), torch.tensor(float("inf"))])
def test_a_number_is_finite(value: Any) -> None:
    assert checked_number(torch.tensor(2), "scale") == 2.0
    with pytest.raises(InputError, match=r"scale: is .*; it must be a finite number"):
        checked_number(value, "scale")
