"""What is tried of each composition: as many settings, each of which costs what its group allows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from amdm.errors import InputError
from amdm.presets.profile import load_profile
from bench.layouts.named import load_layouts
from bench.studies.composition_space import FIRST, MORE, SPACES, bounds, candidates, essence, group_of
from bench.studies.settings import as_preset

PRESETS = load_profile("mini")
LAYOUTS = load_layouts("mini-combined-tune").subset(5)
THREE = ("interactdiffusion", "migc", "ip-adapter")
STEPS = 20
CHEAP = ("switch", "alternate")
"""They cost T whatever their settings."""


def test_groups_follow_each_other_without_gaps() -> None:
    for steps in (3, 10, 20, 50):
        most = list(bounds(steps).values())
        assert all(low < high for low, high in pairwise(most)) and group_of(10**6, steps) == MORE
        assert [group_of(value, steps) for value in most] == list(bounds(steps))


@pytest.mark.parametrize("semantics", SPACES)
def test_candidates_differ_and_cost_what_their_group_allows(semantics: str) -> None:
    for group in (FIRST, "2 T"):
        found = candidates(PRESETS, semantics, THREE, LAYOUTS, STEPS, group, 4, 0)
        assert found[:2] == candidates(PRESETS, semantics, THREE, LAYOUTS, STEPS, group, 2, 0)
        unreachable = (semantics in CHEAP) if group == "2 T" else (semantics == "fkc")
        assert len(found) == (0 if unreachable else 4) and all(found.count(one) == 1 for one in found)
        for one in found:
            settings = as_preset(PRESETS, one)
            cost = sum(settings.composition.evaluations(len(settings.models), STEPS))
            assert settings.models[:3] == THREE and settings.steps == STEPS and group_of(cost, STEPS) == group


@pytest.mark.parametrize("models", [THREE, THREE[:2]])
@pytest.mark.parametrize("semantics", SPACES)
def test_the_first_trial_is_the_sources_with_the_profiles_guidance(semantics: str, models: tuple[str, ...]) -> None:
    """As that of a single model is the profile's: no row rests on draws alone."""
    for seed in (0, 1):
        group = FIRST if semantics in CHEAP else "2 T" if len(models) == 3 else MORE if semantics == "fkc" else "1.5 T"
        first = candidates(PRESETS, semantics, models, LAYOUTS, STEPS, group, 1, seed)[0]
        assert all(first["settings"][one]["guidance_scale"] == PRESETS.models[one]["guidance_scale"] for one in models)
        own = {name: value for name, value in first["aggregation"].items() if name not in ("s", "pull_back")}
        expected = {"semantics": semantics, "eta_unit": "sqrt_dim"}
        for name, value in SPACES[semantics].source.items():
            row = len(models) - (name in SPACES[semantics].auxiliaries)
            vector = name in ("weights", "gamma") or (name == "eta" and value is not None)
            expected[name] = [value] * row if vector else value
        assert own.items() <= {**expected, "eta": expected.get("eta") or []}.items()
        assert own["first_step"] == SPACES[semantics].source["first_step"]


def test_the_authors_code_is_tried_with_its_own_noise_in_the_longest_window() -> None:
    (first,) = candidates(PRESETS, "official", THREE, LAYOUTS, STEPS, "2 T", 1, 0)
    assert first["aggregation"] == {
        "semantics": "official",
        "first_step": 1,
        "initial_noise": "separate",
        "weights": [0.5, 0.5],
        "eta": [0.35, 0.35, 0.35],
        "eta_unit": "sqrt_dim",
        "pull_back": True,
        "s": 9,
    }


@pytest.mark.parametrize(
    ("semantics", "one", "other"),
    [
        ("mean-epsilon", {"weights": [0.5, 0.5, 1]}, {"weights": [1, 1, 2]}),
        ("mean-epsilon", {"weights": [1, 1, 1], "s": 20}, {"weights": [2, 2, 2]}),
        ("slerp", {"weights": [0.3, 0], "s": 3}, {"weights": [0.7, 0], "s": 3}),
        ("lol", {"weights": [0.3, 0], "s": 3}, {"weights": [0.7, 0], "s": 3, "eta": []}),
    ],
)
def test_settings_that_draw_the_same_pictures_are_one(
    semantics: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second, third = (
        essence({"semantics": semantics, **own}, STEPS) for own in (one, other, {**other, "first_step": 2, "s": 4})
    )
    assert first == second != third


@pytest.mark.parametrize("semantics", ["mean-epsilon", "paper", "official", "lol"])
def test_no_two_trials_draw_the_same_pictures(semantics: str) -> None:
    found = candidates(PRESETS, semantics, THREE, LAYOUTS, STEPS, "2 T", 40, 0)
    own = [(one["settings"], essence(one["aggregation"], STEPS)) for one in found]
    assert len(own) == 40 and all(own.count(one) == 1 for one in own)
    assert not any(one["aggregation"].get("eta") == [0.0] * 3 for one in found)  # which is no pull-back


def test_every_trial_mixes_two_models_at_least() -> None:
    for semantics in ("paper", "official", "slerp", "true-slerp", "lol"):
        for seed in range(3):
            for one in candidates(PRESETS, semantics, THREE, LAYOUTS, STEPS, MORE, 8, seed):
                mixing = as_preset(PRESETS, one).composition.config().mixing()  # type: ignore[attr-defined]
                assert sum(value != 0 for value in mixing) >= 2, one


def test_fewer_settings_than_trials_are_an_error() -> None:
    with pytest.raises(InputError, match="trials: 99 are asked for, and there are 16 settings of multidiffusion"):
        candidates(PRESETS, "multidiffusion", THREE, LAYOUTS, STEPS, FIRST, 99, 0)
