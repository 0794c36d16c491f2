from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest

from bench.run.info import RunInfo
from tests.bench.cli.command import SMALL, Call
from tests.bench.conftest import JobRunner


def test_runs_are_listed_shown_and_compared(call: Call, run_fake_job: JobRunner) -> None:
    one, other = run_fake_job("runs/one", limit=10), run_fake_job("runs/other", limit=10, methods=("migc",))
    listed = call("runs", "list", one.parent)
    assert listed.status == 0 and "interactdiffusion, migc" in listed.out and "30 of 30" in listed.out
    assert [own["name"] for own in json.loads(call("runs", "list", one.parent, "--json").out)] == ["one", "other"]
    shown = json.loads(call("runs", "show", one, "--json").out)
    assert shown["judged"] == 30 and shown["run"]["settings"]["job"]["limit"] == 10
    read = call("runs", "show", one).out
    assert "limit: 10\n" in read and "command: amdm-bench" in read
    assert 'method_settings: {"' in read and "which --json prints" not in read
    three = run_fake_job("runs/three", limit=10, methods=("migc", "slerp", "interactdiffusion+migc"))
    assert "method_settings: 3 entries, which --json prints\n" in call("runs", "show", three).out
    found = json.loads(call("runs", "diff", one, other, "--json").out)
    assert "methods" in [row["field"] for row in found["settings"]]
    assert call("runs", "diff", one, other).out.startswith(f"# {one} and {other}")


def test_a_run_is_removed_when_asked_twice(
    call: Call,
    run_fake_job: JobRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, other = run_fake_job("run", limit=10), run_fake_job("other", limit=10)
    monkeypatch.setattr("typer.confirm", lambda text, err: False)
    assert call("runs", "rm", run).out == f"{run}: stays\n" and run.is_dir()
    assert call("runs", "rm", run, run.parent / "absent", "--yes").status == 2 and run.is_dir()
    (other / "mine").touch()
    removed = call("runs", "rm", run, other, "--yes")
    assert removed.status == 0 and not run.exists()
    assert removed.out.endswith(f"{other}: stays, with what is not the run's: mine\n")
    last = run_fake_job("last", limit=10)
    removed = call("runs", "rm", last, "--yes", "--json")
    (done,) = json.loads(removed.out)["runs"]
    assert done["removed"] and done["bytes"] > 0 and not last.exists() and f"{last}: removed" in removed.err


def test_a_run_stays_where_nobody_answers(call: Call, run_fake_job: JobRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_fake_job("run", limit=10)
    monkeypatch.setattr("sys.stdin", StringIO())
    answer = call("runs", "rm", run)
    assert answer.status == 2 and run.is_dir()
    assert answer.err.splitlines()[-1] == (
        "error: yes: is needed where nobody answers; this run and those after it stay"
    )


@pytest.mark.parametrize("command", ["show", "rm"])
def test_what_is_no_run_is_one_line(call: Call, command: str) -> None:
    assert "run.json" in call("runs", command, "absent").error


def test_a_run_grows_by_command_and_refuses_what_nobody_asked_for(call: Call, fake_networks: None) -> None:
    assert call("migc", *SMALL, "--methods", "migc", "--out", "run").status == 0
    more = call("migc", *SMALL, "--methods", "migc", "--seeds", "1-2", "--out", "run")
    assert more.status == 0 and "run grows to 10 layouts, seeds 0, 1, 2, methods migc" in more.out
    mixed = call("migc", *SMALL, "--methods", "migc", "--limit", "15", "--out", "run")
    assert mixed.status == 2 and "seeds: leaves out 1, 2, which the run holds, while limit grows" in mixed.error
    assert RunInfo.read(Path("run")).job.seeds == (0, 1, 2)
