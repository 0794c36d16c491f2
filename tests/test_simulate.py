"""The simulation of scripts/simulate.py: cases that can be reckoned by hand; how fast a machine is is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer import Typer
from typer.testing import CliRunner

from amdm.errors import InputError
from bench.defaults import preset_job
from bench.job.plan import Plan
from scripts import simulate
from scripts.simulation import Clock, Task, Times, by_processes, job_seconds
from tests.bench.conftest import fake_judge, fake_networks  # noqa: F401

TIMES = Times(
    start=10.0, load=5.0, load_judge=0.0, draw={"migc": 1.0, "ceiling": 0.0}, judge=0.0, write=0.0, record=0.0
)


def plan(limit: int = 40, batch: int = 4) -> Plan:
    return Plan.resolve(preset_job("mini", ["migc"], limit=limit, batch=batch, device="cpu"))


@pytest.mark.parametrize(
    ("batches", "workers", "seconds"),
    [
        ([(2.0, 1.0)] * 3, 1, 5 + 9),  # one works in the parent, and starts nothing
        ([(2.0, 0.0)] * 4, 2, 15 + 4),
        ([(2.0, 0.0)] * 5, 2, 15 + 6),
        ([(1.0, 1.0)] * 20, 20, 15 + 1 + 20),  # all are done at once, and written in turn
        ([(2.0, 0.5)] * 2, 2, 15 + 2 + 1),
        ([(4.0, 1.0), (1.0, 1.0), (1.0, 1.0)], 2, 15 + 4 + 1),  # the third waits with the second worker, one in hand
        ([(1.0, 3.0)] * 4, 2, 15 + 1 + 12),  # 1: two and then 7: two; the writer is never idle
        ([], 3, 5),
    ],
)
def test_a_phase_takes_what_its_workers_and_its_writer_take(
    batches: list[tuple[float, float]], workers: int, seconds: float
) -> None:
    clock = Clock()
    by_processes(clock, [Task(*one) for one in batches], workers, 10.0, 5.0)
    assert clock.now == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("batches", "workers", "seconds"),
    [
        ([(2.0, 0.0)] * 4, 2, 15 + 4),  # a core each
        ([(2.0, 0.0)] * 4, 4, 2 * 15 + 2 * 2),  # four on two cores: half as fast, as they start and as they work
        ([(2.0, 0.0), (4.0, 0.0), (4.0, 0.0)], 3, 1.5 * 15 + 1.5 * 2 + 2),  # then two are left, with a core each
        (
            [(2.0, 3.0), (3.0, 0.0), (9.0, 0.0)],
            3,
            1.5 * 15 + 1.5 * 2 + 1.5 * 1 + 2 + 4,
        ),  # while it writes the parent is one more
    ],
)
def test_processes_share_the_cores_evenly(batches: list[tuple[float, float]], workers: int, seconds: float) -> None:
    clock = Clock(cores=2)
    by_processes(clock, [Task(*one) for one in batches], workers, 10.0, 5.0)
    assert clock.now == pytest.approx(seconds)


def test_ray_draws_and_judges_at_the_same_time() -> None:
    work = [group for group in plan(batch=16).batches if group.method == "migc"][:2]  # of 16 layouts each
    times = replace(TIMES, load_judge=1.0, judge=0.5, write=0.25, record=0.125, ray=7.0)
    # one place: a batch after the other is drawn and written, then a judge starts
    assert job_seconds(times, work, 1, ray=True) == pytest.approx(7 + 15 + 2 * (16 + 4) + 11 + 2 * (8 + 2))
    # two: both draw, then both judge: the second starts when its batch is written, after the first's
    assert job_seconds(times, work, 2, ray=True) == pytest.approx(7 + 15 + 16 + 2 * 4 + 11 + 8 + 2)
    # on one core nothing is gained
    everything = 7 + 2 * 15 + 2 * (16 + 4) + 2 * 11 + 2 * (8 + 2)
    assert job_seconds(times, work, 2, ray=True, cores=1) == pytest.approx(everything)


def test_the_bottleneck_is_the_stage_that_holds_the_job_most() -> None:
    work = plan().batches  # 10 groups of migc, 10 of true renderings
    table = simulate.simulate(TIMES, work, (1, 2, 16, 1000)).set_index(["engine", "GPUs"])
    assert table.loc[("workers", 1), "hours"] * 3600 == pytest.approx(5 + 40)
    assert table.loc[("workers", 2), "hours"] * 3600 == pytest.approx(15 + 20 + 10)  # and 10 s of start to judge
    assert table.loc[("workers", 1), "bottleneck"] == "draw"
    assert table.loc[("workers", 16), "bottleneck"] == "start"
    assert table.loc[("workers", 1000), "bottleneck"] == "start; no more than 20 have work"
    assert table.loc[("shards", 16), "bottleneck"] == "load; no more than 10 have work"
    assert table.loc[("shards", 1000), "hours"] * 3600 == pytest.approx(5 + 4)
    assert table.loc[("shards", 1000), "GPU-hours"] == pytest.approx(1000 * 9 / 3600)
    slow_disk = Times(**{**vars(TIMES), "start": 0.0, "load": 0.0, "write": 0.2})
    table = simulate.simulate(slow_disk, work, (1, 16)).set_index(["engine", "GPUs"])
    assert list(table.loc["workers", "bottleneck"]) == ["draw", "write"]


@pytest.mark.usefixtures("fake_networks")
def test_stages_are_timed_and_the_job_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "_in_new_process", lambda job: 100.0)
    own = plan(limit=10)
    times = simulate.measure(own, tmp_path / "stages")
    assert set(times.draw) == {"migc", "ceiling"} and min(times.draw.values()) > 0
    assert 0 < times.start <= 100 and min(times.judge, times.write, times.record) > 0
    found = simulate.check(own, times, [1], tmp_path)
    assert list(found["workers"]) == [1] and found["measured s"].min() > 0
    deviation = found["simulated s"] / found["measured s"] - 1
    pd.testing.assert_series_equal(found["deviation"], deviation, check_names=False)


@pytest.mark.parametrize(("deviation", "status"), [(0.14, 0), (-0.16, 1), (0.16, 1), (float("nan"), 1)])
def test_check_fails_where_a_time_misses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deviation: float, status: int
) -> None:
    table = pd.DataFrame([{"workers": 1, "simulated s": 1.0, "measured s": 1.0, "deviation": deviation}])
    monkeypatch.setattr(simulate, "check", lambda *_: table)
    (tmp_path / "times.json").write_text(json.dumps(vars(TIMES)))
    app = Typer()
    app.command()(simulate.main)
    asked = ["--limit", "10", "--methods", "migc", "--times", str(tmp_path / "times.json")]
    done = CliRunner().invoke(app, [*asked, "--check"])
    assert done.exit_code == status and "load " in done.output
    assert "| shards   |   1000 |" in CliRunner().invoke(app, asked).output


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"judge": -1.0}, "judge", "greater than or equal to 0"),
        ({"draw": {"migc": "1"}}, "draw.migc", "valid number"),
        ({"draw": {"slerp": 1.0}}, "draw.migc", "no seconds of a picture"),
        ({"write": None}, "write", "valid number"),
    ],
)
def test_times_of_another_job_or_shape_are_refused(
    tmp_path: Path, change: dict[str, Any], field: str, why: str
) -> None:
    path = tmp_path / "times.json"
    path.write_text(json.dumps(vars(TIMES) | change))
    with pytest.raises(InputError, match=why) as refused:
        Times.read(path, ["migc"])
    assert refused.value.file == path and refused.value.field == field


def test_a_file_of_times_that_is_none_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_text("[not JSON")
    asked = [sys.executable, "-m", "scripts.simulate", "--limit", "5", "--methods", "migc", "--times", str(path)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {path}") and done.stderr.count("\n") == 1


def test_ray_is_not_checked_by_times_that_have_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "check", lambda *_: pytest.fail("was run"))
    (tmp_path / "times.json").write_text(json.dumps(vars(TIMES)))
    app = Typer()
    app.command()(simulate.main)
    asked = [
        "--limit",
        "10",
        "--methods",
        "migc",
        "--times",
        str(tmp_path / "times.json"),
        "--check",
        "--engine",
        "ray",
    ]
    done = CliRunner().invoke(app, asked)
    assert isinstance(done.exception, InputError) and done.exception.field == "ray"


def test_workers_that_are_no_numbers_are_named() -> None:
    app = Typer()
    app.command()(simulate.main)
    done = CliRunner().invoke(app, ["--workers", "1,two", "--check"])
    assert isinstance(done.exception, InputError) and done.exception.field == "workers"
