"""Settings tried on layouts: what is measured is kept, and found again under the same settings alone."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Instance, Layout
from amdm.presets.profile import load_profile
from bench.job.batches import CEILING, groups
from bench.layouts.layout_set import Entry, LayoutSet
from bench.layouts.named import load_layouts
from bench.layouts.vocabulary import COCO, MINI
from bench.report import trial_tables
from bench.report.trial_tables import SAMPLES
from bench.studies import trials
from bench.studies.settings import as_preset, plain_aggregation, with_models
from bench.studies.trials import (
    Kept,
    StudyRun,
    Trial,
    TrialWorker,
    averages,
    measure,
    run_trials,
    table_info,
    with_ceiling,
)

LAYOUTS = load_layouts("mini-combined-tune").subset(5)
SHORT = ["settings.all.num_inference_steps=3"]
PRESETS = load_profile("mini")
LETTER = PRESETS.method("interactdiffusion+migc@combined-paper", SHORT)
ALONE = PRESETS.method("migc@combined", SHORT)


def test_what_was_measured_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = StudyRun(LAYOUTS, keep=tmp_path / "kept")
    settings = with_ceiling({"letter": LETTER, "alone": ALONE, "the same": LETTER}, LAYOUTS)
    first = run_trials(study, settings, "try")
    assert len(list((tmp_path / "kept").rglob("*.json"))) == 3  # equal settings are drawn once
    assert first.samples.method.value_counts().to_dict() == dict.fromkeys(settings, 5)
    same = [first.verdicts[first.verdicts.method == name].drop(columns="method") for name in ("letter", "the same")]
    pd.testing.assert_frame_equal(*[one.reset_index(drop=True) for one in same])
    monkeypatch.setattr(trials, "run_tasks", lambda factory, arguments, tasks, workers: (_ for _ in tasks))
    again = run_trials(study, {"other name": LETTER, CEILING: None}, "try")
    assert again.samples.seconds.tolist()[:5] == first.samples[first.samples.method == "letter"].seconds.tolist()
    found = averages(first, list(settings))
    assert found.evaluations.to_dict() == {"letter": 6.0, "alone": 3.0, "the same": 6.0, CEILING: 0.0}
    assert found.joint_interaction[CEILING] > 0.5 and (found.failed == 0).all()


def test_the_seconds_of_a_batch_are_shared_by_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(self: TrialWorker, trial: Trial) -> SimpleNamespace:
        time.sleep(0.05)
        return SimpleNamespace(finite=[False] * len(trial.group.entries), images=[], evaluations={"migc": 3})

    monkeypatch.setattr(trials, "_loaded", lambda profile: (None, None))
    monkeypatch.setattr(TrialWorker, "_draw", draw)
    (group,), started = groups(LAYOUTS, ["a"], [0], 5), time.perf_counter()
    rows = TrialWorker("mini")(Trial(group, None))[1]["samples"]
    seconds = [row[SAMPLES.index("seconds")] for row in rows]
    assert len(seconds) == 5 and len(set(seconds)) == 1
    assert 0.05 <= sum(seconds) <= time.perf_counter() - started


def test_distances_are_known_by_step() -> None:
    tables = run_trials(StudyRun(LAYOUTS), {"letter": LETTER, "alone": ALONE}, "try")
    by_method = tables.samples.groupby("method").pull_back_steps.first()
    steps = json.loads(by_method["letter"])
    assert list(steps) == ["0", "1", "2"] and set(steps["0"]) == {"interactdiffusion", "migc"}
    assert steps["0"]["migc"]["eta"] == pytest.approx(0.4297, rel=1e-4)
    assert pd.isna(by_method.get("alone"))


def test_a_foreign_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    study = StudyRun(LAYOUTS, keep=tmp_path)
    run_trials(study, {CEILING: None}, "try")
    (path,) = tmp_path.rglob("*.json")
    for content in ('{"verdicts": []}', path.read_text().replace(f'"{CEILING}"', '"x"', 1), "[", '{"a": 1}'):
        path.write_text(content)
        with pytest.raises(InputError, match=path.name):
            run_trials(study, {CEILING: None}, "try")


def test_pictures_that_are_not_finite_are_failed_samples() -> None:
    wild = LETTER.changed({"aggregation": {"eta": [3e38, 3e38], "eta_unit": "sqrt_dim"}})
    tables = run_trials(StudyRun(LAYOUTS), {"wild": wild}, "try")
    assert set(tables.samples.status) == {"failed"} and tables.verdicts.empty
    assert averages(tables, ["wild"]).failed.tolist() == [5]
    with pytest.raises(InputError, match="wild"):
        measure(StudyRun(LAYOUTS), {"wild": wild}, "try")


def test_another_style_picture_of_the_same_name_is_measured_again(tmp_path: Path) -> None:
    def moved(entry: Entry) -> Entry:
        assert entry.style is not None
        return replace(entry, style=Path(shutil.copy(entry.style, tmp_path / entry.style.name)))

    study = StudyRun(replace(LAYOUTS, entries=tuple(map(moved, LAYOUTS.entries))), keep=tmp_path / "kept")
    for kept in (1, 2):
        run_trials(study, {CEILING: None}, "try")
        assert len(list((tmp_path / "kept").rglob("*.json"))) == kept
        assert study.layout_set.entries[0].style is not None
        Image.new("RGB", (32, 32), "red").save(study.layout_set.entries[0].style)


def test_repeated_seeds_and_no_processes_are_refused() -> None:
    for seeds in ((0, 0), (), (-1,)):
        with pytest.raises(InputError, match="seeds: must be distinct integers of 0 or more"):
            StudyRun(LAYOUTS, seeds=seeds)
    with pytest.raises(InputError, match="workers: 0 is not"):
        StudyRun(LAYOUTS, 0)


def test_words_that_the_judge_cannot_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = Instance("a red zebra", (0.1, 0.1, 0.5, 0.5))
    own = LayoutSet("own", (Entry(0, "0", "", Layout("a red zebra", (instance,))),), COCO)
    monkeypatch.setattr(trials, "run_tasks", None)  # before anything is drawn
    with pytest.raises(InputError, match="detector: mini does not know 'zebra' of own"):
        run_trials(StudyRun(own), {"alone": ALONE}, "try")


def test_tables_tell_of_every_judge_and_of_what_none_judges() -> None:
    info = table_info(StudyRun(LAYOUTS), ["a"], "Title")
    assert "action judge" in info.judge and "style judge" in info.judge and info.unjudged == ()
    strange = replace(LAYOUTS.entries[0], style=Path("photo.png"))
    unjudged = table_info(StudyRun(replace(LAYOUTS, entries=(strange,))), ["a"], "Title").unjudged
    assert unjudged == ("1 style pictures are asked for and not judged: 'photo.png'",)
    plain = Layout("a ring", (Instance("a ring", (0.1, 0.1, 0.5, 0.5)),))
    own = table_info(StudyRun(LayoutSet("own", (Entry(0, "0", "", plain),), MINI)), ["a"], "Title")
    assert "action judge" not in own.judge and own.notes[0].startswith("1 of 1 instances name no colour")


def test_the_sums_of_pictures_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = run_trials(StudyRun(LAYOUTS), {CEILING: None}, "try")
    counted: list[int] = []
    own = trial_tables.image_sums
    monkeypatch.setattr(trial_tables, "image_sums", lambda *given, **more: counted.append(1) or own(*given, **more))
    first = averages(tables, [CEILING])
    pd.testing.assert_frame_equal(averages(tables, [CEILING]), first)
    assert len(tables.metrics) and len(tables.sums) == 5 and counted == [1]


def test_methods_of_studies_are_as_presets_have_them() -> None:
    preset = PRESETS.method("interactdiffusion+migc@combined")
    method = {**with_models(preset.models, LAYOUTS), "aggregation": plain_aggregation(preset)}
    assert as_preset(PRESETS, method) == preset
    with pytest.raises(InputError, match=r"aggregation\.s"):
        as_preset(PRESETS, {**method, "aggregation": {**method["aggregation"], "s": -1}})


def test_what_another_command_is_writing_is_left_alone(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "mini", LAYOUTS, {})
    (group,) = groups(LAYOUTS, ["a"], [0], 5)
    half = kept._path(group).with_name(f"{kept._path(group).name}.partial")
    half.parent.mkdir()
    half.write_text("{")
    kept.add(group, {})
    assert half.read_text() == "{" and kept.find(group) == {}
