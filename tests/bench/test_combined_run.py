"""A run over layouts with interactions and styles: what is asked for reaches generators, verdicts and tables."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from amdm.errors import InputError
from amdm.presets.profile import load_profile
from bench.benchmark import score_run
from bench.cli.main import COMBINED_CONTROLS, COMBINED_METHODS
from bench.cocomig.joint import ConditionTables
from bench.detectors.detector import DetectorOptions
from bench.job.batches import groups
from bench.job.conditions import judged_conditions
from bench.job.plan import Plan
from bench.job.spec import EXTERNAL, Job
from bench.layouts.named import load_layouts
from bench.report.combined import write_combined
from bench.report.compare import compare_runs
from bench.report.gate import check_regression, make_baseline
from bench.report.html.page import write_page
from bench.report.measured import Measured
from bench.report.write import write_report
from bench.run.info import RunInfo
from bench.run.merge import merge_runs
from bench.run.read import read_table, read_tables
from bench.run.store import RunStore
from bench.run.verify import verify_run
from bench.stages.generate import generate
from bench.stages.verdicts import score
from tests.bench.conftest import JobRunner
from tests.bench.fakes import BlobDetector, guessing_judges, painter, run_settings

METHODS = ("interactdiffusion@combined", "migc@combined", "interactdiffusion+migc+ip-adapter")
FIELDS: dict[str, Any] = {"layouts": "mini-combined", "methods": METHODS, "limit": 20}
KEY = ["method", "seed", "layout_index"]


@pytest.fixture
def folder(run_fake_job: JobRunner) -> Path:
    return run_fake_job(**FIELDS)


def conditions_of(folder: Path) -> ConditionTables:
    interactions, styles = read_tables(folder, "interactions", "styles")
    entries = Plan.resolve(RunInfo.read(folder).job).layout_set.entries
    return ConditionTables(interactions, styles, judged_conditions(entries))


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute(statement)


def test_every_interaction_and_every_picture_has_a_verdict(folder: Path) -> None:
    found, samples = conditions_of(folder), read_table(folder, "samples")
    entries = {entry.index: entry for entry in load_layouts("mini-combined").subset(20).entries}
    assert len(found.styles) == len(samples) == 4 * 20  # three methods and the ceiling
    counts = found.interactions.groupby(KEY).size()
    assert len(counts) == 80
    assert all(count == len(entries[index].actions) for (_, _, index), count in counts.items())
    for row in found.interactions.to_dict("records"):
        asked = entries[row["layout_index"]].actions[row["interaction"]]
        assert (row["subject"], row["asked"], row["object"]) == asked
    names = {index: entry.style_name for index, entry in entries.items()}
    assert (found.styles.asked == found.styles.layout_index.map(names)).all()
    assert set(found.interactions.outcome) == {"right", "other", "none", "reversed"}
    assert verify_run(folder) == []


def test_the_report_says_what_is_right_together_and_what_is_ignored(folder: Path) -> None:
    report = folder.parent / "reports" / folder.name
    table = pd.read_csv(report / "joint.csv", keep_default_na=False).set_index("method")
    assert table.ignores.to_dict() == {
        "interactdiffusion@combined": "style",
        "migc@combined": "interactions, style",
        "interactdiffusion+migc+ip-adapter": "",
        "ceiling": "",
    }
    assert {"place", "colour given place", "action given place", "style", "joint by interaction"} <= set(table)
    page = (report / "joint.md").read_text()
    assert "The claim, fixed before anything was measured" in page and "What became of the actions" in page
    assert "joint by picture" in pd.read_csv(report / "table1.csv")
    assert {"joint_interaction", "joint_picture"} <= set(
        json.loads((report / "summary.json").read_text())["results"][METHODS[0]]
    )


def test_what_is_right_together_is_told_with_what_was_not_judged(folder: Path, tmp_path: Path) -> None:
    assert "Missing" not in (folder.parent / "reports" / folder.name / "joint.md").read_text()
    for table in ("verdicts", "interactions", "styles"):
        change(folder, f"DELETE FROM {table} WHERE method = '{METHODS[1]}'")
    write_report(folder, tmp_path / "report")
    page = (tmp_path / "report" / "joint.md").read_text()
    assert f"## Missing\n\n- **{METHODS[1]}: 0 of 20 images were judged" in page


def test_sets_without_conditions_have_the_tables_that_they_had(run_fake_job: JobRunner) -> None:
    folder = run_fake_job(limit=10)
    found = conditions_of(folder)
    assert found.interactions.empty and found.styles.empty
    report = folder.parent / "reports" / folder.name
    assert not list(report.glob("joint*")) and "style" not in pd.read_csv(report / "table1.csv")
    settings = RunInfo.read(folder).settings
    assert settings.styles == settings.condition_judges == {}


def test_earlier_runs_without_these_tables_are_read_and_go_on(run_fake_job: JobRunner) -> None:
    folder = run_fake_job(limit=10)
    for table in ("interactions", "styles"):
        change(folder, f"DROP TABLE {table}")
    assert verify_run(folder) == [] and conditions_of(folder).styles.empty
    with RunStore(folder, RunInfo.read(folder).settings) as store:
        assert store.verdict_counts()
    assert verify_run(folder) == []


def test_a_picture_that_lacks_one_verdict_is_judged_again(folder: Path) -> None:
    before = conditions_of(folder)
    entries = load_layouts("mini-combined").subset(20).entries
    for statement in ("DELETE FROM styles WHERE layout_index = 0", "DELETE FROM interactions WHERE layout_index = 6"):
        change(folder, statement)
    assert any("samples with too few or too many verdicts" in problem for problem in verify_run(folder))
    with RunStore(folder, RunInfo.read(folder).settings) as store:
        score(store, entries, BlobDetector, 1, guessing_judges)
    after = conditions_of(folder)
    pd.testing.assert_frame_equal(before.styles, after.styles)
    pd.testing.assert_frame_equal(before.interactions, after.interactions)


def test_a_new_picture_loses_its_old_verdicts_and_again_forgets_all(folder: Path) -> None:
    row = read_table(folder, "samples").iloc[0]
    sample = {name: row[name] for name in ("method", "status", "image", "sha256")}
    sample |= {"layout_index": int(row["layout_index"]), "seed": int(row["seed"]), "attempts": 1}
    with RunStore(folder, RunInfo.read(folder).settings) as store:
        store.record(samples=[sample])
        assert store.verdict_counts().get((row["method"], sample["layout_index"], sample["seed"])) is None
        store.delete_verdicts()
        assert store.verdict_counts() == {}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE interactions SET outcome = 'right' WHERE outcome = 'none'", "that no measurement gives"),
        ("UPDATE styles SET success = 1 - success", "that no measurement gives"),
        ("UPDATE styles SET asked = found, success = 1", "do not say what their layout"),
        (
            "UPDATE interactions SET asked = 'joins', outcome = 'other' WHERE found = 'pushes'",
            "do not say what their layout",
        ),
        ("UPDATE interactions SET subject = object", "do not say what their layout"),
    ],
)
def test_forged_verdicts_are_found(folder: Path, statement: str, problem: str) -> None:
    change(folder, statement)
    assert any(problem in found for found in verify_run(folder))


def test_shards_become_the_whole_run(run_fake_job: JobRunner, tmp_path: Path) -> None:
    whole = run_fake_job("whole", **FIELDS)
    parts = [run_fake_job(f"part{i}", **FIELDS, shard=(i, 2)) for i in (1, 2)]
    for _ in range(2):  # the second time nothing is left to do
        assert merge_runs(tmp_path / "merged", parts) == (80, [])
    for name in ("verdicts", "interactions", "styles"):
        pd.testing.assert_frame_equal(read_table(tmp_path / "merged", name), read_table(whole, name))
    change(parts[1], "DELETE FROM styles")
    with pytest.raises(InputError, match="missing or not judged"):
        merge_runs(tmp_path / "other", parts)


def test_a_changed_style_picture_is_noticed(fake_networks: None, tmp_path: Path) -> None:
    source = Path(str(load_layouts("mini-combined").entries[0].style)).parents[1]
    own = tmp_path / "own.json"
    shutil.copy(source / "mini-combined-tune.json", own)
    shutil.copytree(source / "styles", tmp_path / "styles")
    plan = Plan.resolve(Job("mini", str(own), METHODS, (0,), 8, limit=5))
    with RunStore(tmp_path / "run", plan.settings):
        pass
    style = plan.layout_set.entries[0].style
    assert style is not None
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(style)
    with (
        pytest.raises(InputError, match=r"styles\.0: was .*, now"),
        RunStore(tmp_path / "run", Plan.resolve(plan.job).settings),
    ):
        pass


def test_a_method_must_say_what_it_ignores() -> None:
    layouts = load_layouts("mini-combined").subset(5)
    for method, missing in (("migc", "interactions"), ("interactdiffusion", "style"), ("stable_diffusion", "style")):
        job = Job("mini", "mini-combined", (method,), (0,), 4)
        with pytest.raises(InputError, match=rf"^methods\.{method}: would ignore the field {missing}"):
            _ = Plan(job, layouts, DetectorOptions()).batches
    assert Plan(Job("mini", "mini-combined", METHODS, (0,), 4), layouts, DetectorOptions()).batches


def test_every_row_of_the_combined_table_can_be_measured() -> None:
    rows = (*COMBINED_METHODS, *COMBINED_CONTROLS)
    plan = Plan.resolve(Job("mini", "mini-combined", rows, (0,), 16, limit=5))
    assert {group.method for group in plan.batches} == {*rows, "ceiling"}
    profile = load_profile("mini")
    assert {profile.method(row).steps for row in rows} == {20}
    of_paper = load_profile("paper").methods
    assert set(COMBINED_METHODS) <= set(of_paper)


def test_a_set_with_a_style_of_another_world_has_no_ceiling_and_no_verdict_on_it(tmp_path: Path) -> None:
    source = Path(str(load_layouts("mini-combined").entries[0].style)).parents[1]
    content = json.loads((source / "mini-combined-tune.json").read_text())
    (tmp_path / "own.json").write_text(json.dumps({k: {**content[k], "style": "photo.png"} for k in list(content)[:5]}))
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    layouts = load_layouts(tmp_path / "own.json")
    assert not layouts.renderable and layouts.asks_conditions
    assert all(entry.verdicts == entry.level + len(entry.actions) for entry in layouts.entries)
    job = Job(EXTERNAL, "x", ("mine",), (0,), 4, generator="a:b", digest="0")
    assert {group.method for group in Plan(job, layouts, DetectorOptions()).batches} == {"mine"}


def test_several_workers_judge_as_one_does(tmp_path: Path) -> None:
    layouts = load_layouts("mini-combined").subset(20)
    found = []
    for workers in (1, 2):
        with RunStore(tmp_path / str(workers), run_settings(layout_hash=layouts.hash)) as store:
            generate(store, groups(layouts, ["first"], [0], 4), painter, 1)
            score(store, layouts.entries, BlobDetector, workers, guessing_judges)
        found.append(conditions_of(tmp_path / str(workers)))
    for one, other in zip(*found, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_change_of_the_judges_of_actions_and_styles_is_a_change_of_judge(
    run_fake_job: JobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = run_fake_job("now", **FIELDS), run_fake_job("before", **FIELDS)
    make_baseline(before, tmp_path / "baseline.json", "the first")
    assert check_regression(folder, tmp_path / "baseline.json").failures == []
    verdicts = conditions_of(folder)
    monkeypatch.setattr("bench.judges.conditions.judge_revisions", lambda: {"action": "new", "style": "b"})
    for force in (False, True):
        with pytest.raises(InputError, match=r"action judge a, .*not of .*action judge new.*--again drops them"):
            score_run(folder, 1, force=force)
    change(folder, "UPDATE styles SET success = 0, found = 'nothing'")
    assert score_run(folder, 1, again=True) == (80, 0)
    pd.testing.assert_frame_equal(conditions_of(folder).styles, verdicts.styles)
    assert RunInfo.read(folder).settings.condition_judges == {"action": "new", "style": "b"}
    assert "different judges" in compare_runs(before, folder).report
    with pytest.raises(InputError, match=r"condition_judges: was judged by .*action judge new"):
        check_regression(folder, tmp_path / "baseline.json")
    with pytest.raises(InputError, match="judge: is not that of"):
        write_page([Measured.read(one) for one in (before, folder)], tmp_path / "page")
    write_report(folder, tmp_path / "report")
    assert "action judge new, style judge b" in (tmp_path / "report" / "report.html").read_text()


def test_judges_that_change_while_all_is_judged_again_start_from_the_front(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunStore(folder, RunInfo.read(folder).settings) as store:
        store.update(judging_again=True)  # stopped when all was judged again by the judges before
    monkeypatch.setattr("bench.judges.conditions.judge_revisions", lambda: {"action": "new", "style": "b"})
    assert score_run(folder, 1, again=True) == (80, 0)
    assert RunInfo.read(folder).settings.condition_judges["action"] == "new"


def test_the_claim_is_of_its_own_layouts_alone(run_fake_job: JobRunner) -> None:
    """Of mini-combined, and of joint by interaction; elsewhere methods are compared and nothing is claimed."""
    own, other = run_fake_job("own", **FIELDS), run_fake_job("other", **FIELDS | {"layouts": "mini-combined-tune"})
    pages = [(one.parent / "reports" / one.name / "joint.md").read_text() for one in (own, other)]
    assert "The claim, fixed before" in pages[0] and "Here of joint by interaction, with intervals" in pages[0]
    assert "fixed before" not in pages[1] and "It holds" not in pages[1] and "t holds for" not in pages[1]
    assert "hold for all 1 comparisons of a metric at once" in pages[1]


def test_tables_of_a_run_that_lacks_a_verdict_are_refused(folder: Path, tmp_path: Path) -> None:
    """An interaction without a verdict would count as if nobody had asked for it."""
    change(folder, "DELETE FROM interactions WHERE layout_index = 6")
    with pytest.raises(InputError, match=r"^interactions: 4 pictures lack verdicts .*amdm-bench score RUN"):
        write_report(folder, tmp_path / "report")


def test_a_report_reads_its_run_once_and_computes_its_metrics_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Counter[str]()

    def counted(place: str) -> None:
        module, _, name = place.rpartition(".")
        whole = getattr(import_module(module), name)
        monkeypatch.setattr(place, lambda *args, **kwargs: (counts.update([name]), whole(*args, **kwargs))[1])

    for place in ("bench.report.measured.metrics_of", "bench.cocomig.metrics.metrics_of", "bench.run.info.read_json"):
        counted(place)
    for place in ("bench.run.read._copy_database", "bench.cocomig.metrics.add_joint_sums"):
        counted(place)
    write_report(folder, tmp_path / "report")
    assert counts == {"metrics_of": 1, "read_json": 1, "_copy_database": 1, "add_joint_sums": 1}


def test_what_is_not_judged_is_said_where_the_set_is_read_and_in_its_tables(
    run_fake_job: JobRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path(str(load_layouts("mini-combined").entries[0].style)).parents[1]
    content = json.loads((source / "mini-combined-tune.json").read_text())
    own = {key: {**content[key], "style": "photo <b>.png"} for key in list(content)[:5]}
    own["0"]["interactions"][0]["action"] = "eats | x"
    (tmp_path / "own.json").write_text(json.dumps(own))
    Image.new("RGB", (8, 8)).save(tmp_path / "photo <b>.png")
    said = (
        "1 interactions are asked for and not judged: 'eats | x'",
        "5 style pictures are asked for and not judged: 'photo <b>.png'",
    )
    assert load_layouts(tmp_path / "own.json").remarks == said
    assert load_layouts("mini-combined").remarks == load_layouts("mini").remarks == ()
    folder = run_fake_job("own", layouts=str(tmp_path / "own.json"), methods=METHODS[:1], limit=5)
    shown = capsys.readouterr().err
    assert all(f"own: {line}" in shown for line in said)
    report = folder.parent / "reports" / folder.name
    for name in ("table1.md", "joint.md"):
        assert all(f"- **{line}**" in (report / name).read_text() for line in said)
    write_combined([Measured.read(folder)], tmp_path / "all", False)
    assert all(f"- **{line}**" in (tmp_path / "all" / "combined.md").read_text() for line in said)
    for table in (report / "table1.tex", tmp_path / "all" / "combined.tex"):
        assert all(f"{line}." in table.read_text() for line in said)
    page = (report / "report.html").read_text()
    assert "Not judged" in page and "photo &lt;b&gt;.png" in page and "photo <b>" not in page
