from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from amdm.output import plain
from bench.run.merge import merge_runs
from bench.run.overview import RunOverview, runs_under
from bench.run.read import _copy_database
from bench.run.verify import verify_run
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info


def test_every_run_in_a_folder_is_listed_and_what_is_none_is_not(run_fake_job: JobRunner, tmp_path: Path) -> None:
    one, broken = run_fake_job("runs/one", limit=10), run_fake_job("runs/broken", limit=10)
    (broken / "run.json").write_text("{")
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "link").symlink_to(one)
    found = runs_under(tmp_path / "runs")
    assert [own.name for own in found] == ["broken", "one"]
    assert found[0].problem is not None and "cannot be read as JSON" in found[0].problem
    whole = found[1]
    assert (whole.layouts, whole.count, whole.methods, whole.seeds) == ("mini", 10, ("interactdiffusion", "migc"), (0,))
    assert (whole.status, whole.judged, whole.expected, whole.failed) == ("complete", 30, 30, 0)
    assert whole.date and plain(whole)["expected"] == 30


def test_a_run_whose_layouts_are_gone_says_what_it_holds(run_fake_job: JobRunner) -> None:
    run = run_fake_job(limit=10)
    change_info(run, layouts="gone.json")
    found = RunOverview.of(run)
    assert (found.judged, found.expected, found.problem) == (30, None, None)


@pytest.mark.parametrize(
    ("read", "whole"),
    [
        (lambda run, _: RunOverview.of(run).judged, 30),
        (lambda run, _: verify_run(run), []),
        (lambda run, out: merge_runs(out, [run]).gaps, []),
    ],
)
def test_a_run_at_work_is_read_in_one_state(
    run_fake_job: JobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Any, whole: Any
) -> None:
    run, real = run_fake_job(limit=10), _copy_database

    def copy(path: Path, into: sqlite3.Connection) -> None:
        real(path, into)
        with sqlite3.connect(run / "run.sqlite") as database:  # another process begins to judge again
            database.execute("DELETE FROM verdicts")

    monkeypatch.setattr("bench.run.read._copy_database", copy)
    assert read(run, tmp_path / "out") == whole


def test_a_folder_that_is_none_or_a_run_itself_is_refused(run_fake_job: JobRunner, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: is not a folder"):
        runs_under(tmp_path / "absent")
    with pytest.raises(InputError, match="is a run itself"):
        runs_under(run_fake_job(limit=10))
