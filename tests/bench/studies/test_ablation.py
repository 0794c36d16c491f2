"""The ablation: its arms, distances with overshoots, and a small one of the shipped models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from amdm.compositions.window import AMDM
from amdm.errors import InputError
from amdm.presets.profile import load_profile
from bench.cli.main import app
from bench.cocomig.strata import AUXILIARY
from bench.layouts.named import load_layouts
from bench.report.ablation import DIFFERENCES, distances_by_step
from bench.report.trial_tables import Tables
from bench.studies import ablation
from bench.studies.ablation import AUTHORS, LETTER, Options, arms_at, box_overlaps, strata_at, windows
from bench.studies.trials import StudyRun

PRESETS = load_profile("mini")
LAYOUTS = load_layouts("mini-combined-tune").subset(5)


@pytest.mark.parametrize("steps", [2, 10, 20, 50])
def test_every_arm_is_a_setting_at_every_t(steps: int) -> None:
    arms = arms_at(PRESETS, LAYOUTS, steps, Options())
    assert len({arm.name for arm in arms}) == len(arms) and all(arm.settings.steps == steps for arm in arms)
    assert {arm.section for arm in arms} == {"single models", DIFFERENCES, "η/√dim", "s", "w"}
    s = [one.settings.aggregation.config().s for one in arms if one.section == "s" and one.settings.aggregation]
    assert min(s) == 1 and max(s) == steps


def test_the_arms_are_the_presets_that_are_known() -> None:
    arms = {arm.name.removeprefix("T 20: "): arm.settings for arm in arms_at(PRESETS, LAYOUTS, 20, Options())}
    letter = PRESETS.method("interactdiffusion+migc@combined-paper")
    assert arms[LETTER] == letter and arms[AUTHORS] == PRESETS.method("interactdiffusion+migc@combined")
    separate = PRESETS.method("interactdiffusion+migc@paper-separate").aggregation
    assert arms[f"{LETTER}, separate noise"].aggregation == separate
    assert arms[f"{AUTHORS}, shared noise"].aggregation == PRESETS.method("interactdiffusion+migc@shared").aggregation
    both = arms[f"{AUTHORS}, window from step 0 and DDIM mean"].aggregation
    assert isinstance(both, AMDM) and isinstance(separate, AMDM)
    assert replace(both.config(), coefficients="nested") == separate.config()  # which two models have alike


def test_windows_end_with_all_steps() -> None:
    assert windows(2, 1) == [1] and windows(50, 0)[-1] == 50 and windows(10, 1) == [1, 2, 3, 5, 7, 9]


def test_overshoots_are_where_eta_is_longer_than_the_distance() -> None:
    def of(first: float, second: float) -> str:
        return json.dumps(
            {"0": {"a": {"distance_to_mean": first, "eta": 0.4}, "b": {"distance_to_mean": second, "eta": 0}}}
        )

    samples = pd.DataFrame({"method": ["m", "m", "n"], "pull_back_steps": [of(0.3, 0.1), of(0.5, 0.3), None]})
    table = distances_by_step(samples).set_index(["method", "step", "model"])
    assert table.overshoots.to_dict() == {("m", 0, "a"): 0.5, ("m", 0, "b"): 0.0}
    assert table.distance_to_mean["m", 0, "a"] == pytest.approx(0.4) and table.samples["m", 0, "b"] == 2
    nearly = json.dumps({"0": {"a": {"distance_to_mean": 0.4, "eta": 0.4 * (1 + 1e-7)}}})
    assert distances_by_step(pd.DataFrame({"method": ["m"], "pull_back_steps": [nearly]})).overshoots.tolist() == [0]
    assert distances_by_step(samples[2:]).empty


def test_overlaps_are_of_every_instance() -> None:
    table = box_overlaps(LAYOUTS)
    assert len(table) == LAYOUTS.instance_count and table.overlap.between(0, 1).all()


def test_an_interaction_is_sorted_by_its_ends_under_the_auxiliary_alone() -> None:
    """Its action is wrong there every time: no model of boxes alone draws one."""
    outcomes = {"interactdiffusion": "none", "migc": "other", LETTER: "right", AUTHORS: "none"}
    verdicts, interactions = [], []
    for name, outcome in outcomes.items():
        for one in LAYOUTS.entries:
            sample = {"method": f"T 2: {name}", "layout_index": one.index, "seed": 0}
            right = {"success": 1, "attr": 1, "box_area": 0.1}
            verdicts += [{**sample, **right, "instance": k} for k in range(one.level)]
            ends = [{"subject": asked.subject, "object": asked.object} for asked in one.actions]
            interactions += [{**sample, **own, "interaction": k, "outcome": outcome} for k, own in enumerate(ends)]
    empty = pd.DataFrame()
    table = strata_at(Tables(pd.DataFrame(verdicts), pd.DataFrame(interactions), empty, empty, empty), LAYOUTS, 2)
    assert set(table["T"]) == {2} and set(table.target) == {"T 2: interactdiffusion"}
    own = table[(table.of == "interaction") & (table.stratum == AUXILIARY)].set_index("method")
    assert own.value.to_dict() == {f"T 2: {LETTER}": "succeeded", f"T 2: {AUTHORS}": "succeeded"}
    assert own.gain.tolist() == [1, 0] and own.units.tolist() == [sum(len(one.actions) for one in LAYOUTS.entries)] * 2
    assert (table[table.of == "instance"].gain == 0).all()


def test_a_small_ablation_writes_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "FROM_LETTER", {"": {}})
    monkeypatch.setattr(ablation, "OF_THREE", {LETTER: {}, AUTHORS: {}})
    monkeypatch.setattr(ablation, "windows", lambda steps, first: [1])
    study = StudyRun(LAYOUTS, keep=tmp_path / "kept")
    page = ablation.ablation(study, Options((3,), (0.5,), (0.5,)), tmp_path / "report").page
    for section in (
        DIFFERENCES,
        "η/√dim",
        "Distances to the means",
        "Hand-over curves",
        "Where the gain is",
        "Ceiling",
    ):
        assert section in page
    assert f"- **T 3: {LETTER}, η 0.5**: interactdiffusion in step" in page
    arms = pd.read_csv(tmp_path / "report" / "arms.csv").set_index("arm")
    assert arms.evaluations[f"T 3: {LETTER}"] == 6 and arms.isr_gain.notna().sum() == len(arms) - 3
    strata = pd.read_csv(tmp_path / "report" / "strata.csv")
    assert set(strata.of) == {"instance", "interaction"} and {AUXILIARY, "size", "overlap"} <= set(strata.stratum)
    curves = pd.read_csv(tmp_path / "report" / "hand_over.csv")
    ours, others = "interactdiffusion", ("migc", "ip-adapter")
    both = {*((one, ours) for one in others), *((ours, one) for one in others)}
    assert set(curves.k) == {0, 1} and set(zip(curves.auxiliary, curves.target, strict=True)) == both
    alone = curves[curves.k == 0].set_index(["auxiliary", "target"])
    assert alone.place["migc", ours] == alone.place["ip-adapter", ours] > alone.place[ours, "ip-adapter"]
    monkeypatch.setattr("bench.studies.trials.run_tasks", lambda *_: (_ for _ in ()))  # nothing is left to do
    assert ablation.ablation(study, Options((3,), (0.5,), (0.5,)), tmp_path / "report").page == page
    assert "action judge" in page  # beside the detector
    places = ["--keep", str(tmp_path / "kept"), "--to", str(tmp_path / "cli"), "--workers", "1", "--json"]
    small = ["--steps", "3", "--etas", "0.5", "--weights", "0.5", "--layouts", LAYOUTS.name, "--limit", "5"]
    found = json.loads(CliRunner().invoke(app, ["ablation", *small, *places]).stdout)
    assert len(found["arms"]) == len(arms) and all(Path(one).is_file() for one in found["files"])


def test_without_style_pictures_two_models_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "FROM_LETTER", {"": {}})
    monkeypatch.setattr(ablation, "FROM_AUTHORS", {"": {}})
    monkeypatch.setattr(ablation, "windows", lambda steps, first: [1])
    found = ablation.ablation(StudyRun(load_layouts("mini").subset(5)), Options((2,), (), ()), tmp_path)
    singles = found.tables["arms"][found.tables["arms"].section == "single models"]
    assert singles.arm.tolist() == ["T 2: interactdiffusion", "T 2: migc"]
    assert set(found.tables["hand_over"].auxiliary) == {"migc", "interactdiffusion"} and "three models" not in str(
        found.tables["arms"].arm
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options((1,)), "steps: 1 leaves no window"),
        (Options((20, 10, 20)), "steps: has 20 twice"),
        (Options(etas=(0.1, 0.2, 0.1)), "etas: has 0.1 twice"),
        (Options(weights=(0.12345671, 0.12345672)), "weights: has 0.123457 twice"),
    ],
)
def test_a_t_without_a_window_and_arms_of_one_name_are_refused(tmp_path: Path, options: Options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ablation.ablation(StudyRun(LAYOUTS), options, tmp_path)
