"""The gate, and its result as JUnit XML."""

from __future__ import annotations

import json
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from amdm.errors import InputError
from bench.report.gate import TOLERANCE, Check, GateResult, check_regression, junit_xml, make_baseline, read_tolerance
from bench.report.run_diff import run_diff
from bench.run.info import RunInfo
from bench.run.read import read_table
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info


def lose(folder: Path, method: str, level: int, count: int) -> list[tuple[int, int]]:
    """Turn the colour of ``count`` correct instances wrong; returns (layout, instance) of each."""
    verdicts = read_table(folder, "verdicts")
    correct = verdicts[(verdicts.method == method) & (verdicts.level == level) & (verdicts.attr == 1)].head(count)
    assert len(correct) == count
    lost = list(correct[["layout_index", "instance"]].itertuples(index=False, name=None))
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.executemany(
            f"UPDATE verdicts SET attr = 0, miou = 0 WHERE method = '{method}' AND layout_index = ? AND instance = ?",
            lost,
        )
    return lost


@pytest.fixture
def baseline(run_fake_job: JobRunner, tmp_path: Path) -> Path:
    make_baseline(run_fake_job("before"), tmp_path / "new" / "baseline.json", "first measurement")
    return tmp_path / "new" / "baseline.json"


def closed_up(report: str) -> str:
    """Without what pads the columns of a table."""
    return " ".join(report.split())


def test_the_same_run_passes(run_fake_job: JobRunner, baseline: Path) -> None:
    result = check_regression(run_fake_job("now"), baseline)
    assert result.failures == []
    assert "No metric fell" in result.report and "0 won, 0 lost" in result.report


def test_a_fall_is_found_where_it_is(run_fake_job: JobRunner, baseline: Path) -> None:
    folder = run_fake_job("now")
    lost = lose(folder, "migc", 4, 3)
    result = check_regression(folder, baseline)
    named = {failure.split(":")[0] for failure in result.failures}
    assert {"migc L4 isr", "migc L4 miou", "migc Avg isr"} <= named
    assert not any(name.startswith(("interactdiffusion", "migc L2", "ceiling")) for name in named)
    assert "migc L4 isr: fell by 15.00 points (allowed 4)" in result.failures
    for layout, instance in lost:
        assert f"- migc, layout {layout}, seed 0, instance {instance} (a " in result.report
    assert "0 won, 3 lost" in result.report


def test_a_fall_within_tolerance_passes_but_is_shown(run_fake_job: JobRunner, baseline: Path) -> None:
    folder = run_fake_job("now")
    lose(folder, "migc", 6, 1)
    result = check_regression(folder, baseline)
    assert result.failures == [] and "0 won, 1 lost" in result.report
    strict = check_regression(
        folder, baseline, {**TOLERANCE, "isr": 0.5, "miou": 0.5, "isr.level": 100, "miou.level": 100}
    )
    assert any(failure.startswith("migc Avg") for failure in strict.failures)


def test_a_gain_passes(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    lost = run_fake_job("worse")
    lose(lost, "migc", 5, 6)
    make_baseline(lost, tmp_path / "baseline.json", "worse")
    result = check_regression(folder, tmp_path / "baseline.json")
    assert result.failures == [] and "6 won, 0 lost" in result.report


def test_a_baseline_keeps_why_it_changed(run_fake_job: JobRunner, baseline: Path) -> None:
    folder = run_fake_job("now")
    lose(folder, "migc", 4, 3)
    make_baseline(folder, baseline, "fewer layouts fit")
    content = json.loads(baseline.read_text())
    assert [one["reason"] for one in content["history"]] == ["first measurement", "fewer layouts fit"]
    assert content["history"][0]["metrics"]["migc isr"] > content["history"][1]["metrics"]["migc isr"]
    assert content["weights"] == {"unet": "abc"} and len(content["layout_hash"]) == 64
    assert check_regression(folder, baseline).failures == []


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_baseline_needs_a_reason(run_fake_job: JobRunner, baseline: Path, reason: str) -> None:
    before = baseline.read_bytes()
    with pytest.raises(InputError, match="reason"):
        make_baseline(run_fake_job("now"), baseline, reason)
    assert baseline.read_bytes() == before


def test_a_baseline_has_one_verdict_a_line(baseline: Path) -> None:
    lines = [line for line in baseline.read_text().splitlines() if '"migc", ' in line]
    assert len(lines) == 100


def test_what_cannot_be_paired_is_an_error(run_fake_job: JobRunner, baseline: Path) -> None:
    with pytest.raises(InputError, match="layout_hash: was made on other layouts"):
        check_regression(run_fake_job("other", layouts="mini-hard"), baseline)
    with pytest.raises(InputError, match="lacks 100 instances of the baseline, which has 25 layouts and 3 methods"):
        check_regression(run_fake_job("half", methods=("migc",)), baseline)
    with pytest.raises(InputError, match="lacks"):
        check_regression(run_fake_job("short", limit=20), baseline)


def test_another_judge_is_an_error_and_other_weights_are_said(run_fake_job: JobRunner, baseline: Path) -> None:
    folder = run_fake_job("now")
    assert "the same weights" in check_regression(folder, baseline).report
    change_info(folder, weights={"unet": "new"})
    assert "other weights" in check_regression(folder, baseline).report
    change_info(folder, judge={**RunInfo.read(folder).settings.judge.model_dump(), "revision": "other"})
    with pytest.raises(InputError, match="judge: was judged by mini-judge other, the baseline by another judge"):
        check_regression(folder, baseline)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdicts": "x"}, "verdicts"),
        ({"verdicts": [[1, 2]]}, "verdicts: is not a table"),
        ({"verdicts": [["m", 0, 0, 0, 2, 1, "x", 1, 1, 0.5]]}, "verdicts: is not a table"),
        ({"history": None}, "history"),
        ({"layout_hash": 3}, "layout_hash"),
    ],
)
def test_a_broken_baseline_is_one_line(
    run_fake_job: JobRunner, baseline: Path, change: dict[str, Any], message: str
) -> None:
    baseline.write_text(json.dumps(json.loads(baseline.read_text()) | change))
    with pytest.raises(InputError, match=message):
        check_regression(baseline.parents[1] / "before", baseline)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_baseline_that_is_no_json_object_is_one_line(run_fake_job: JobRunner, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "baseline.json").write_bytes(content)
    with pytest.raises(InputError, match=r"baseline\.json: "):
        check_regression(run_fake_job(limit=5), tmp_path / "baseline.json")


def test_tolerances_are_read_by_name() -> None:
    with pytest.raises(
        InputError, match=r"unknown gated metric 'irs'; did you mean isr\? there are: isr, isr\.level, miou"
    ):
        read_tolerance(["irs=2"])
    limit = read_tolerance(["isr=2", "miou.level=0"])
    assert limit == {**TOLERANCE, "isr": 2.0, "miou.level": 0.0}
    for wrong in ("place=1", "isr", "isr=a", "isr=-1", "isr=nan"):
        with pytest.raises(InputError, match="allow"):
            read_tolerance([wrong])


def test_a_tolerance_decides(run_fake_job: JobRunner, baseline: Path) -> None:
    folder = run_fake_job("now")
    lose(folder, "migc", 4, 3)
    wide = {name: 50.0 for name in TOLERANCE}
    assert not check_regression(folder, baseline, wide).failures
    assert check_regression(folder, baseline, {**wide, "isr.level": 14.9}).failures


def test_a_run_without_verdicts_is_no_baseline(run_fake_job: JobRunner, baseline: Path, tmp_path: Path) -> None:
    empty = run_fake_job("empty")
    with sqlite3.connect(empty / "run.sqlite") as database:
        database.execute("DELETE FROM verdicts")
    with pytest.raises(InputError, match="empty: has no verdicts"):
        make_baseline(empty, tmp_path / "new.json", "why")
    assert not (tmp_path / "new.json").exists()
    stored = json.loads(baseline.read_text())
    for verdicts in ([], [[*stored["verdicts"][0][:-1], float("nan")]]):
        baseline.write_text(json.dumps({**stored, "verdicts": verdicts}))
        with pytest.raises(InputError, match="verdicts: is empty, or holds something that is not a number"):
            check_regression(run_fake_job("again" if verdicts else "whole"), baseline)


def test_a_smaller_run_replaces_a_baseline_only_when_asked_to(run_fake_job: JobRunner, baseline: Path) -> None:
    before = baseline.read_bytes()
    small = run_fake_job("small", limit=5)
    with pytest.raises(InputError, match=r"small: has \d+ verdicts, and the baseline \d+; --smaller replaces it"):
        make_baseline(small, baseline, "why")
    assert baseline.read_bytes() == before
    make_baseline(small, baseline, "why", smaller=True)
    assert json.loads(baseline.read_text())["count"] == 5


COMBINED: dict[str, Any] = {"layouts": "mini-combined", "methods": ("interactdiffusion@combined", "migc@combined")}


@pytest.fixture
def combined(run_fake_job: JobRunner, tmp_path: Path) -> Path:
    make_baseline(run_fake_job("combined-before", **COMBINED), tmp_path / "combined.json", "first measurement")
    return tmp_path / "combined.json"


def test_actions_and_styles_that_fall_are_found(run_fake_job: JobRunner, combined: Path) -> None:
    run = run_fake_job("combined-now", **COMBINED)
    same = check_regression(run, combined)
    assert same.failures == [] and "| migc@combined | Avg | style |" in closed_up(same.report)
    assert "| migc@combined | Avg | joint_picture |" in closed_up(same.report)
    assert "L2 | style" not in closed_up(same.report)
    with sqlite3.connect(run / "run.sqlite") as database:
        database.execute("UPDATE styles SET success = 0 WHERE method = 'ceiling'")
        database.execute("UPDATE interactions SET outcome = 'none' WHERE method = 'ceiling'")
    failures = check_regression(run, combined).failures
    assert all(one.startswith("ceiling Avg ") for one in failures)
    history = json.loads(combined.read_text())["history"][-1]["metrics"]
    fell = {one.split()[2].rstrip(":") for one in failures}
    assert fell == {name.split()[1] for name, value in history.items() if name.startswith("ceiling") and value > 6} - {
        "isr",
        "miou",
    }
    assert fell


def test_a_run_without_actions_and_styles_falls_to_nothing(run_fake_job: JobRunner, combined: Path) -> None:
    run = run_fake_job("combined-now", **COMBINED)
    with sqlite3.connect(run / "run.sqlite") as database:
        database.execute("DELETE FROM styles")
        database.execute("DELETE FROM interactions")
    assert any(" style: fell by" in one for one in check_regression(run, combined).failures)


def test_a_larger_run_is_compared_on_the_baselines_samples(run_fake_job: JobRunner, combined: Path) -> None:
    result = check_regression(run_fake_job("more", **COMBINED, limit=35), combined)
    assert result.failures == []


MIXED = ("interactdiffusion",)


def mixed_set(path: Path) -> Path:
    """Layouts of mini-combined without styles, every second without interactions either."""
    records = json.loads(files("bench.layouts").joinpath("sets", "mini-combined.json").read_text())
    for k, one in enumerate(list(records.values())):
        one.pop("style")
        if k % 2:
            one.pop("interactions")
    path.write_text(json.dumps(dict(list(records.items())[:10])))
    return path


def test_layouts_that_ask_for_nothing_may_stand_beside_others(run_fake_job: JobRunner, tmp_path: Path) -> None:
    layouts = str(mixed_set(tmp_path / "mixed.json"))
    before, now = (run_fake_job(name, layouts=layouts, methods=MIXED) for name in ("before", "now"))
    make_baseline(before, tmp_path / "baseline.json", "first measurement")
    result = check_regression(now, tmp_path / "baseline.json")
    assert result.failures == [] and "| interactdiffusion | Avg | joint_picture |" in closed_up(result.report)
    assert all(row["difference"] == 0 for row in run_diff(before, now)["metrics"])


def test_a_run_that_lacks_a_layouts_conditions_of_every_method_is_refused(
    run_fake_job: JobRunner, combined: Path
) -> None:
    run = run_fake_job("combined-now", **COMBINED)
    with sqlite3.connect(run / "run.sqlite") as database:
        database.execute("DELETE FROM styles WHERE layout_index = 0")
    with pytest.raises(InputError, match=r"^styles: 3 pictures lack verdicts \(first .*, layout 0, seed 0\)"):
        check_regression(run, combined)


@pytest.mark.parametrize(
    "stored",
    [
        {"interactions": [["m", 0, 0, 0, 1, "perhaps"]], "styles": []},
        {"interactions": [], "styles": [["m", "x", 0, True]]},
        {"interactions": [[1]], "styles": []},
        [],
        {"interactions": []},
    ],
)
def test_a_broken_baseline_of_actions_is_one_line(run_fake_job: JobRunner, combined: Path, stored: Any) -> None:
    content = json.loads(combined.read_text())
    combined.write_text(json.dumps({**content, "conditions": stored}))
    with pytest.raises(InputError, match="conditions"):
        check_regression(run_fake_job("combined-now", **COMBINED), combined)


def test_a_case_for_each_metric_fails_where_it_fell(run_fake_job: JobRunner, tmp_path: Path) -> None:
    make_baseline(run_fake_job("before"), tmp_path / "baseline.json", "first")
    run = run_fake_job("now")
    lose(run, "migc", 4, 3)
    result = check_regression(run, tmp_path / "baseline.json")
    suite = ElementTree.fromstring(junit_xml(result, "now"))
    assert suite.get("tests") == str(len(suite)) == "36" and suite.get("failures") == str(len(result.failures))
    failed = {f"{case.get('classname')} {case.get('name')}": case.find("failure") for case in suite}
    assert failed["now.migc L4 isr"].get("message") == "migc L4 isr: fell by 15.00 points (allowed 4)"  # type: ignore
    assert failed["now.interactdiffusion L4 isr"] is None
    found = json.loads(json.dumps(result.as_json()))
    assert found["passed"] is False and len(found["flips"]) == 3
    assert [one["failure"] for one in found["checks"] if one["failure"]] == result.failures


def test_a_fall_of_just_what_is_allowed_is_none() -> None:
    for now, allowed, failed in ((50.0, 0.0, False), (49.0, 0.0, True), (48.5, 1.5, False), (48.4, 1.5, True)):
        assert (Check("m", "Avg", "isr", 50.0, now, allowed).failure is not None) is failed


def test_names_that_xml_cannot_hold_are_written_out() -> None:
    result = GateResult([Check("a\x00\x1b<b>&", "Avg", "isr", 50.0, float("nan"), 1.5)], "", [])
    (case,) = ElementTree.fromstring(junit_xml(result, "run"))
    assert case.get("classname") == "run.a\\x00\\x1b<b>&" and case.find("failure") is not None
