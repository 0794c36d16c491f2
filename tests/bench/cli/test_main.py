from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amdm.presets.profile import load_profile, tuned_path
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.workers.processes import WorkerLostError
from tests.bench.cli.command import SMALL, Call, layout_file
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info
from tests.bench.report.test_gate import lose

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "0"], "limit: 0 is not"),
        (["--limit", "-5"], "limit: -5 is not"),
        (["--limit", "many"], "'--limit'"),
        (
            ["--methods", "interactdiffusion,nonsense"],
            f"unknown method 'nonsense'; there are {len(load_profile('mini').methods)}: among them interactdiffusion",
        ),
        (["--methods", ""], "methods: unknown method ''"),
        (["--methods", "migc,migc"], "methods: names a method twice"),
        (["--methods", "../../etc/passwd"], "methods: unknown method"),
        (["--profile", "huge"], "profile: unknown profile 'huge'; there are: auto, mini, paper"),
        (["--layouts", "nonsense"], "layouts: unknown layout set 'nonsense'"),
        (["--layouts", "mini-hrad"], "unknown layout set 'mini-hrad'; did you mean mini-hard? there are: mini, "),
        (["--methods", "mgic"], "methods: unknown method 'mgic'; did you mean migc?"),
        (["--set", "agregation.s=3"], "agregation: is not a field here; did you mean aggregation? there are: models, "),
        (["--dtype", "flaot32"], "dtype: unknown dtype 'flaot32'; did you mean float32?"),
        (["--seeds", "3-1"], "seeds: '3-1' runs backwards: write 1-3"),
        (["--seeds", "0-3,2"], "seeds: must be distinct"),
        (["--layouts", "absent.json"], "absent.json: "),
        (["--seeds", "a,b"], "seeds: 'a,b' is not a list of integers"),
        (["--seeds", ""], "seeds: '' is not a list"),
        (["--seeds", "__import__('os')"], "seeds: "),
        (["--seeds", "0,0"], "seeds: must be distinct"),
        (["--seeds", "-1"], "seeds: must be distinct integers of 0 or more"),
        (["--batch", "0"], "batch: 0 is not between"),
        (["--workers", "0"], "workers: 0 is not"),
        (["--bogus"], "No such option: --bogus"),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_written(
    call: Call, fake_networks: None, options: list[str], message: str
) -> None:
    answer = call("migc", "--profile", "mini", *options)
    assert answer.status == 2 and message in answer.error
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"caption": None}, "0.caption"),
        ({"segment": None}, "0.segment"),
        ({"bbox": [0.1, 0.1, 0.4, 1.4]}, "segment[0].bbox: y2 = 1.4 is outside [0, 1]"),
        ({"bbox": [0.1, 0.1, 0.1, 0.4]}, "segment[0].bbox: x2 ≤ x1"),
        ({"label": "\ud800 red circle"}, "label"),
        ({"segment": [{"bbox": [0, 0, 1, 1], "label": "a red circle"}] * 13}, "0.segment: 13 instances"),
        ({"segment": []}, "0.segment: 0 instances"),
    ],
)
def test_bad_layouts_are_one_line_with_file_and_field(
    call: Call, fake_networks: None, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = layout_file(tmp_path / "bad.json", **change)
    answer = call("migc", "--profile", "mini", "--layouts", path, "--workers", "1")
    assert answer.status == 2 and answer.error.startswith(f"{path}: ") and message in answer.error
    assert list(Path.cwd().iterdir()) == []


def test_a_layout_file_that_is_not_json(call: Call, fake_networks: None, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{'0': ")
    answer = call("migc", "--profile", "mini", "--layouts", tmp_path / "bad.json")
    assert answer.status == 2 and f"{tmp_path / 'bad.json'}: not JSON" in answer.error


def test_the_main_job_leaves_a_run_and_a_report_and_then_is_complete(call: Call, fake_networks: None) -> None:
    first = call("migc", *SMALL, "--methods", "migc, interactdiffusion")
    assert first.status == 0
    assert first.out.splitlines()[0] == "profile mini: as asked for"
    assert "# Table 1 (mini world): mini" in first.out
    (run,) = Path("runs").iterdir()
    (report,) = Path("reports").iterdir()
    assert run.name == report.name
    assert {path.name for path in report.iterdir()} == {
        *("table1.csv", "table1.md", "table1.tex", "metrics.csv", "by_colour.csv", "by_category.csv", "by_size.csv"),
        *("report.html", "grid.png", "summary.json", "verdicts.parquet", "differences.csv"),
    }
    info = RunInfo.read(run)
    assert info.status == "complete" and info.job.methods == ("migc", "interactdiffusion")
    assert info.provenance is not None and info.progress.started and info.progress.finished
    table = (report / "table1.md").read_bytes()
    again = call("migc", *SMALL, "--methods", "migc,interactdiffusion")
    assert again.status == 0 and "complete: 30 images" in again.out
    assert (report / "table1.md").read_bytes() == table


def test_auto_says_which_profile_and_why(call: Call, fake_networks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amdm.profiles.paper_profile_available", lambda _: (False, "there is no CUDA device"))
    answer = call("migc", "--limit", "0")
    assert answer.out.splitlines()[0] == "profile mini: there is no CUDA device"


def test_the_layout_limit_is_rounded_up(call: Call, fake_networks: None) -> None:
    call("migc", "--profile", "mini", "--limit", "7", "--workers", "1", "--methods", "migc", "--out", "run")
    assert read_table(Path("run"), "samples").query("method == 'migc'").shape[0] == 10


def test_other_settings_on_the_same_folder_stop(call: Call, fake_networks: None) -> None:
    assert call("migc", *SMALL, "--methods", "migc", "--out", "run").status == 0
    changed = call("migc", *SMALL, "--methods", "migc", "--batch", "5", "--out", "run")
    assert changed.status == 2 and "run/run.json: batch: was 4, now 5" in changed.error
    assert call("migc", *SMALL, "--methods", "migc", "--batch", "5", "--out", "run", "--force").status == 0
    assert list(map(str, RunInfo.read(Path("run")).progress.forced)) == ["batch: was 4, now 5"]


def test_a_run_that_was_stopped_after_its_last_record_becomes_complete(call: Call, run_fake_job: JobRunner) -> None:
    run = run_fake_job(limit=10, methods=("migc",), batch=4)
    change_info(run, finished=None, status="started")
    assert call("migc", *SMALL, "--methods", "migc", "--out", run).status == 0
    assert RunInfo.read(run).status == "complete" and RunInfo.read(run).progress.finished


def test_shards_are_merged_by_command(call: Call, fake_networks: None) -> None:
    for shard in ("1/2", "2/2"):
        assert call("migc", *SMALL, "--methods", "migc", "--shard", shard).status == 0
    parts = sorted(Path("runs").iterdir())
    assert [part.name[-13:] for part in parts] == ["-shard-1-of-2", "-shard-2-of-2"]
    assert call("merge", "all", parts[0], parts[0]).error.startswith(f"{parts[0]}: samples: ")
    assert call("merge", "all", parts[0]).status == 2
    merged = call("merge", "all", *parts)
    assert merged.status == 0 and "20 samples of 2 runs" in merged.out
    assert (Path("reports") / "all" / "table1.md").is_file()
    again = call("migc", *SMALL, "--methods", "migc", "--out", "all")
    assert again.status == 0 and "complete: 20 images" in again.out


@pytest.mark.parametrize("shard", ["", "1", "0/2", "3/2", "1/2/3", "a/b", "-1/2", "1/99999", "1/999999", "²/2"])
def test_a_shard_that_is_none_is_one_line(call: Call, fake_networks: None, shard: str) -> None:
    answer = call("migc", *SMALL, f"--shard={shard}")
    assert answer.status == 2 and answer.error.startswith("shard: ")
    assert list(Path.cwd().iterdir()) == []


def test_failed_samples_end_non_zero(call: Call, fake_networks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.bench.stages.test_generate import not_finite

    monkeypatch.setattr("bench.generators.presets.make_generator", lambda job: not_finite())
    answer = call("migc", *SMALL, "--methods", "migc", "--out", "run")
    assert answer.status == 1 and "error: 2 samples failed" in answer.err
    assert "migc: 9 of 10 images were judged" in answer.out
    assert call("migc", *SMALL, "--methods", "migc", "--out", "run").status == 1


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(28, "No space left on device"), 1, "No space left on device; what was recorded is whole"),
        (
            sqlite3.OperationalError("database or disk is full"),
            1,
            "database or disk is full; what was recorded is whole",
        ),
        (WorkerLostError("a worker process died"), 1, "a worker process died; what was recorded is whole"),
        (KeyboardInterrupt(), 130, "stopped; the same command goes on from here"),
    ],
)
def test_what_fails_on_the_way_is_one_line(
    call: Call, fake_networks: None, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, message: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("bench.benchmark.generate", fail)
    answer = call("migc", *SMALL, "--out", "run")
    assert answer.status == status and message in answer.err and answer.err.count("\n") == 1


def test_stages_can_be_repeated_alone(call: Call, fake_networks: None) -> None:
    call("migc", *SMALL, "--methods", "migc", "--out", "run")
    before = read_table(Path("run"), "verdicts")
    with sqlite3.connect("run/run.sqlite") as database:
        database.execute("UPDATE verdicts SET attr = 0")
    assert call("score", "run", "--workers", "1").out == "20 pictures have verdicts\n"
    assert read_table(Path("run"), "verdicts").attr.sum() == 0
    assert call("score", "run", "--workers", "1", "--again").status == 0
    assert read_table(Path("run"), "verdicts").equals(before)
    assert "# Table 1" in call("table", "run", "--reports", "elsewhere").out
    assert (Path("elsewhere") / "run" / "grid.png").is_file()


def test_verify_compare_and_regress_by_status(call: Call, run_fake_job: JobRunner, tmp_path: Path) -> None:
    good, bad = run_fake_job("good"), run_fake_job("bad")
    assert call("verify", good).out == f"{good}: whole\n"
    next((bad / "images" / "migc").iterdir()).unlink()
    assert (answer := call("verify", bad)).status == 1 and "is absent" in answer.out
    baseline = tmp_path / "baseline.json"
    assert call("baseline", good, "--to", baseline).status == 2  # no reason given
    assert not baseline.exists()
    assert call("baseline", good, "--reason", "first", "--to", baseline).status == 0
    assert call("regress", good, "--baseline", baseline).status == 0
    lose(bad, "migc", 4, 3)
    machine = call("regress", bad, "--baseline", baseline, "--json", "--junit", tmp_path / "junit.xml")
    assert machine.status == 1 and json.loads(machine.out)["passed"] is False
    assert b"<failure message=" in (tmp_path / "junit.xml").read_bytes()
    assert json.loads(call("compare", good, bad, "--json").out)["same_judge"] is True
    failed = call("regress", bad, "--baseline", baseline, "--summary", tmp_path / "new" / "summary.md")
    assert failed.status == 1 and "migc L4 isr: fell by" in failed.out
    assert (tmp_path / "new" / "summary.md").read_text().strip() in failed.out
    assert call("baseline", good, "--reason", "x", "--to", baseline / "a.json").error.startswith(f"{baseline}: ")
    assert "0 won, 3 lost" in call("compare", good, bad).out


@pytest.mark.parametrize("command", ["table", "verify", "score", "regress", "baseline"])
def test_a_folder_that_is_no_run_is_one_line(call: Call, tmp_path: Path, command: str) -> None:
    options = ["--reason", "x"] if command == "baseline" else []
    answer = call(command, tmp_path / "absent", *options)
    assert answer.status == 2 and "run.json" in answer.error and not (tmp_path / "absent").exists()


def test_no_arguments_show_the_help() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "bench"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "99"},
    )
    assert found.returncode == 2 and "Traceback" not in found.stderr
    for command in (
        "migc",
        "controls",
        "score",
        "table",
        "compare",
        "verify",
        "regress",
        "baseline",
        "layouts",
        "doctor",
    ):
        assert command in found.stdout + found.stderr


def test_tuned_presets_are_written_where_presets_are_read_from(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not into whatever folder the command was started in."""
    assert (tuned_path("mini").parent / "mini.yaml").is_file() and tuned_path("mini").name == "mini-tuned.yaml"
    monkeypatch.setattr("amdm.presets.profile.tuned_path", lambda name: tmp_path / "package" / f"{name}-tuned.yaml")
    table = pd.DataFrame({"row": ["migc"], "isr": [0.5]})
    monkeypatch.setattr("bench.studies.tuning_combined.tune_combined", lambda *_: (table, "methods: {}\n"))
    answer = call("tune-combined", "--workers", "1")
    assert answer.status == 0 and not Path("amdm").exists()
    assert (tmp_path / "package" / "mini-tuned.yaml").read_text() == "methods: {}\n"
    assert f"presets: {tmp_path / 'package' / 'mini-tuned.yaml'}" in answer.out
    assert call("tune-combined", "--workers", "1", "--presets", "mine.yaml").status == 0 and Path("mine.yaml").exists()
