"""The settings that are tried for the combined table."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from amdm.presets.profile import Profile, load_profile
from bench.layouts.named import load_layouts
from bench.studies.ablation import handing_over
from bench.studies.settings import as_preset
from bench.studies.tuning_combined import ROWS, TUNING_SET, _yaml, best_first, candidates

PRESETS = load_profile("mini")
LAYOUTS = load_layouts(TUNING_SET).subset(5)


@pytest.mark.parametrize("models", ROWS)
def test_every_row_has_as_many_different_trials_all_of_them_valid(models: tuple[str, ...]) -> None:
    found = candidates(PRESETS, models, LAYOUTS, 20, 0)
    settings = [as_preset(PRESETS, one) for one in found]  # of a single model all 20, the preset's among them
    assert len(found) == 20 and all(settings.count(one) == 1 for one in settings)
    assert found == candidates(PRESETS, models, LAYOUTS, 20, 0) and found[:5] == candidates(
        PRESETS, models, LAYOUTS, 5, 0
    )
    assert all(one.models == models for one in settings)


def test_the_published_settings_are_among_the_trials() -> None:
    name = "interactdiffusion+migc+ip-adapter"
    found = candidates(PRESETS, ROWS[-1], LAYOUTS, 2, 0)
    tried = [as_preset(PRESETS, one) for one in found]
    assert tried == [PRESETS.method(name), PRESETS.method(f"{name}@paper")]
    (alone,) = candidates(PRESETS, ("migc",), LAYOUTS, 1, 0)
    assert as_preset(PRESETS, alone) == PRESETS.method("migc@combined")


def test_what_is_chosen_is_written_as_presets() -> None:
    chosen = {f"{'+'.join(models)}@tuned": candidates(PRESETS, models, LAYOUTS, 7, 0)[-1] for models in ROWS}
    text = _yaml(chosen, 7, 100, 0)
    read = Profile({"common": PRESETS.common, "models": PRESETS.models, **yaml.safe_load(text)})
    assert {name: read.method(name) for name in chosen} == {
        name: as_preset(PRESETS, one) for name, one in chosen.items()
    }


def test_handing_over_is_the_auxiliary_and_then_the_target() -> None:
    settings = handing_over(PRESETS, "interactdiffusion", "migc", 20, LAYOUTS)
    assert settings.models == ("interactdiffusion", "migc") and settings.ignores == ("style",)
    assert settings.aggregation is not None and settings.aggregation.config().steps(20) == range(20)
    assert handing_over(PRESETS, "interactdiffusion", "ip-adapter", 0, LAYOUTS).ignores == ()


def test_the_best_of_a_row_has_no_failed_pictures_and_then_most_of_the_first_metric_that_differs() -> None:
    tried = {f"{row} {s}": (row, {"aggregation": {"s": s}}) for row in "ab" for s in range(4)}
    one = {"failed": [1, 0, 0, 0], "joint_interaction": [0.9, 0.5, 0.5, 0.4], "isr": [0.9, 0.1, 0.2, 0.9]}
    other = {"failed": [0] * 4, "joint_interaction": [0.0] * 4, "isr": [0.1, 0.3, 0.3, 0.2]}
    measured = pd.concat([pd.DataFrame(one), pd.DataFrame(other)]).set_axis(list(tried))
    table, best = best_first(tried, measured)
    assert best == {"a": tried["a 2"][1], "b": tried["b 1"][1]}  # of equal ones the first
    assert table.row.tolist() == ["a"] * 4 + ["b"] * 4
    assert table.setting.tolist() == [f"s {s}" for s in (2, 1, 3, 0, 1, 2, 3, 0)]
