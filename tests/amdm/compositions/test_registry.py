"""Compositions by name: what stands in the presets is what the paper's parameters say, and costs what is planned."""

from __future__ import annotations

import pytest

from amdm.aggregation import AggregationConfig, official, paper
from amdm.compositions.registry import COMPOSITIONS, composition_type
from amdm.compositions.single import Single
from amdm.compositions.window import Window
from amdm.errors import InputError

ETA = {"weights": [0.5], "eta": [1, 2]}


@pytest.mark.parametrize(
    ("settings", "config", "evaluations"),
    [
        ({"semantics": "paper", "s": 3, **ETA}, paper(3, [0.5], [1, 2]), [20, 3]),
        ({"semantics": "official", "s": 3, **ETA}, official(3, [0.5], [1, 2]), [20, 4]),
        (
            {"semantics": "true-slerp", "first_step": 1, "s": 3, "weights": [0.5]},
            paper(3, [0.5], [], first_step=1, pull_back=False),
            [20, 4],
        ),
        (
            {"semantics": "lol", "s": 3, **ETA},
            paper(3, [0.5], [1, 2], initial_noise="separate"),
            [20, 3],
        ),
        (
            {"semantics": "slerp", "s": 3, "weights": [0.5]},
            paper(3, [0.5], [], pull_back=False, mix_norm="preserving"),
            [20, 3],
        ),
        (
            {"semantics": "slerp", "first_step": 1, "s": 3, "weights": [0.5]},
            paper(3, [0.5], [], first_step=1, pull_back=False, mix_norm="preserving"),
            [20, 4],
        ),
        (
            {"semantics": "lol", "first_step": 1, "s": 3, **ETA, "eta_unit": "sqrt_dim", "initial_noise": "shared"},
            paper(3, [0.5], [1, 2], first_step=1, eta_unit="sqrt_dim"),
            [20, 4],
        ),
    ],
)
def test_windows(settings: dict[str, object], config: AggregationConfig, evaluations: list[int]) -> None:
    found = composition_type(settings["semantics"]).model_validate(settings)
    assert isinstance(found, Window) and found.config() == config
    assert found.evaluations(2, 20) == evaluations
    assert found.shares_noise == (config.initial_noise == "shared")
    with pytest.raises(InputError, match=r"^s: steps [01] to [23] \(counted from 0\) are aggregated, but there are 2"):
        found.check(2, 2)


def test_every_line_leads_to_a_composition_of_that_name() -> None:
    for name in COMPOSITIONS:
        assert name in str(composition_type(name).model_fields["semantics"].annotation)
    assert Single().evaluations(1, 20) == [20]
    with pytest.raises(InputError, match=r"^semantics: is 'swich'; did you mean switch\? there are: paper, official"):
        composition_type("swich")
