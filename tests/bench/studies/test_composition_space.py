"""What is tried of each composition: as many settings, each of which costs what its group allows."""

from __future__ import annotations

from itertools import pairwise

import pytest

from amdm.compositions.registry import COMPOSITIONS
from amdm.errors import InputError
from amdm.presets.profile import load_profile
from bench.layouts.named import load_layouts
from bench.studies.composition_space import FIRST, MORE, SPACES, bounds, candidates, group_of
from bench.studies.settings import as_preset

PRESETS = load_profile("mini")
LAYOUTS = load_layouts("mini-combined-tune").subset(5)
THREE = ("interactdiffusion", "migc", "ip-adapter")
STEPS = 20
CHEAP = ("switch", "alternate")
"""They cost T whatever their settings."""


def test_every_composition_of_the_registry_has_a_list() -> None:
    assert SPACES.keys() == COMPOSITIONS.keys()


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


def test_fewer_settings_than_trials_are_an_error() -> None:
    with pytest.raises(InputError, match="trials: 99 are asked for, and there are 16 settings of multidiffusion"):
        candidates(PRESETS, "multidiffusion", THREE, LAYOUTS, STEPS, FIRST, 99, 0)
