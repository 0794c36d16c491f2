"""The comparison of compositions: its rows, its controls, and a small one of the shipped models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from amdm.errors import InputError
from amdm.presets.profile import Profile, load_profile
from bench.layouts.named import load_layouts
from bench.studies import compositions
from bench.studies.composition_space import SPACES, bounds, group_of
from bench.studies.compositions import (
    CONTROL,
    CONVERSE,
    ITSELF,
    MODELS,
    PUBLISHED,
    SINGLE,
    TUNING_SET,
    Options,
    Row,
    compare_compositions,
    comparisons,
    controls,
    tuned_rows,
)
from bench.studies.settings import as_preset
from bench.studies.trials import StudyRun

PRESETS = load_profile("mini")
TUNING = load_layouts(TUNING_SET).subset(5)


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    """As if the first trial of each row were the best."""
    found = tuned_rows(PRESETS, TUNING, Options(trials=1))
    for row in found.values():
        row.chosen = row.tried[0]
    return found | controls(PRESETS, TUNING, found, Options(trials=1))


def test_every_composition_has_a_row_in_each_group_that_it_reaches(rows: dict[str, Row]) -> None:
    assert [name for name, row in rows.items() if row.kind == SINGLE] == list(MODELS)
    by_group = {group: {row.kind for row in rows.values() if row.group == group} for group in bounds(20)}
    assert set(SPACES) - {"fkc"} <= by_group["T + 4"] and "switch" not in by_group["2 T"]
    assert set(SPACES) - {"switch", "alternate"} <= by_group["more"]


def test_every_row_costs_what_its_group_allows(rows: dict[str, Row]) -> None:
    for name, row in rows.items():
        assert row.chosen
        settings = as_preset(PRESETS, row.chosen)
        cost = sum(settings.composition.evaluations(len(settings.models), settings.steps))
        assert group_of(cost, 20) == row.group, name


def test_controls_are_the_target_for_as_long_with_itself_and_the_converse(rows: dict[str, Row]) -> None:
    for group, steps in (("T + 4", 24), ("1.5 T", 30), ("2 T", 40), ("more", 60)):
        longer, reference = rows[f"interactdiffusion, {steps} steps"].chosen, rows[f"official, {group}"].chosen
        assert longer is not None and reference is not None and as_preset(PRESETS, longer).steps == steps
        for kind, models in ((ITSELF, MODELS[:1] * 3), (CONVERSE, MODELS[::-1])):
            chosen = rows[f"{kind}, {group}"].chosen
            assert chosen is not None and tuple(chosen["models"]) == models
            assert chosen["aggregation"] == reference["aggregation"]
    published = [row.chosen for row in rows.values() if row.kind == PUBLISHED]
    ours = [as_preset(PRESETS, one) for one in published if one is not None]
    assert ours == [PRESETS.method("+".join(MODELS)), PRESETS.method(f"{'+'.join(MODELS)}@paper")]


def test_the_authors_later_settings_are_rows_of_the_pair_that_they_are_of() -> None:
    names = {f"interactdiffusion+migc{end} {PUBLISHED}": end for end in ("", "@paper", "@rebuttal", "@rebuttal-latent")}
    found = controls(PRESETS, TUNING, {"interactdiffusion": Row(SINGLE, "T + 4")}, Options(MODELS[:2]))
    own = {name: row.group for name, row in found.items() if row.kind == PUBLISHED}
    assert own == {name: "1.5 T" if "rebuttal" in end else "T + 4" for name, end in names.items()}
    latent = found[f"interactdiffusion+migc@rebuttal-latent {PUBLISHED}"].chosen["aggregation"]
    assert latent == {"semantics": "official", "s": 8, "weights": [0.5], "eta": [0.3, 0.3]}


@pytest.mark.parametrize(("models", "steps"), [(MODELS[:2], 20), (MODELS, 8), (MODELS[:2], 8), (MODELS[:2], 3)])
def test_the_target_alone_for_longer_stands_in_the_group_of_its_cost(models: tuple[str, ...], steps: int) -> None:
    options = Options(models, steps=steps, trials=1)
    found = tuned_rows(PRESETS, TUNING, options)
    for row in found.values():
        row.chosen = row.tried[0]
    controlled = controls(PRESETS, TUNING, found, options)
    longer = [(name, row) for name, row in controlled.items() if row.kind == CONTROL]
    assert all(row.group == group_of(int(name.split()[-2]), steps) for name, row in longer)
    assert len(longer) == len({row.group for _, row in longer}) >= 2 and "2 T" in {row.group for _, row in longer}


def test_only_the_groups_that_are_asked_for_have_rows(rows: dict[str, Row]) -> None:
    options = Options(trials=1, only=("2 T", "1.5 T"))
    assert options.groups == ["1.5 T", "2 T"] and Options().groups == ["T + 4", "1.5 T", "2 T", "more"]
    found = tuned_rows(PRESETS, TUNING, options)
    for row in found.values():
        row.chosen = row.tried[0]
    found |= controls(PRESETS, TUNING, found, options)
    assert found.keys() == {
        name for name, row in rows.items() if row.kind == "single model" or row.group in options.only
    }
    with pytest.raises(InputError, match=r"groups: .*3 T"):
        _ = Options(only=("3 T",)).groups


def test_rows_are_compared_with_the_authors_code_at_equal_evaluations(rows: dict[str, Row]) -> None:
    for against, (method, other) in comparisons(rows):
        assert against == "equal evaluations" and other == f"official, {rows[method].group}"
    compared = [method for _, (method, _) in comparisons(rows)]
    left_out = {name for name in rows if name not in compared}
    assert left_out == {*MODELS, *(f"official, {group}" for group in bounds(20))}


def test_a_small_comparison_goes_on_and_writes_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compositions, "SPACES", {name: SPACES[name] for name in ("official", "alternate")})
    options = Options(MODELS[:2], steps=3, trials=1)
    reported = load_layouts("mini-combined").subset(5)
    runs = [StudyRun(one, keep=tmp_path / "kept") for one in (TUNING, reported)]
    page, tables = compare_compositions(*runs, options, tmp_path / "report")
    assert tables["rows"].joint_interaction.max() <= 1 and {"official, 2 T", "ceiling"} <= set(tables["rows"].method)
    assert "## Evaluations: 1.5 T (at most 4.5 evaluations a picture)" in page and "## Ceiling" in page
    assert "## Against best single model" in page and "## Against equal evaluations" in page
    joint = pd.read_csv(tmp_path / "report" / "joint.csv").set_index("method")
    assert joint.evaluations["official, 2 T"] == 6 and joint.evaluations["interactdiffusion, 6 steps"] == 6
    assert {"place", "colour given place", "action given place", "style", "joint by interaction"} <= set(joint)
    assert joint["KID"].isna().all()  # of 5 pictures
    contrasts = pd.read_csv(tmp_path / "report" / "contrasts.csv")
    assert set(contrasts.comparisons) == {len(contrasts) // 2}  # of two metrics
    content = yaml.safe_load((tmp_path / "report" / "chosen.yaml").read_text())
    Profile({"common": PRESETS.common, "models": PRESETS.models, **content})
    monkeypatch.setattr("bench.studies.trials.run_tasks", lambda *_: (_ for _ in ()))  # nothing is left to do
    assert compare_compositions(*runs, options, tmp_path / "report").page == page


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    run = StudyRun(TUNING)
    refused = (
        (("migc",), "fewer than two"),
        (("migc", "ip-adapter", "migc"), "models: names a model twice"),
        (("migc", "mgic"), "did you mean migc"),
        (("migc", "stable_diffusion"), "models: no settings are listed to try of stable_diffusion alone"),
    )
    for models, what in refused:
        with pytest.raises(InputError, match=what):
            compare_compositions(run, run, Options(models), tmp_path)
    with pytest.raises(InputError, match="layouts: holds 5 of the layouts that settings are chosen on"):
        compare_compositions(run, run, Options(), tmp_path)
    part = replace(TUNING, hash="", entries=TUNING.entries[1:])
    with pytest.raises(InputError, match="layouts: holds 4 of the layouts that settings are chosen on"):
        compare_compositions(run, StudyRun(part), Options(), tmp_path)
