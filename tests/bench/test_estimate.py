from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.dry_run import describe
from bench.estimate import Timing, estimate, evaluations, lines, time_batches
from bench.job.plan import Plan
from bench.job.spec import Job
from tests.bench.fakes import painter
from tests.bench.test_own_layouts import own_set

BOTH = ("interactdiffusion", "interactdiffusion+migc")


def job(**fields: Any) -> Job:
    asked = {"profile": "mini", "layouts": "mini", "methods": BOTH, "seeds": (0, 1), "batch": 4, "limit": 10}
    return Job(**asked | fields)  # type: ignore[arg-type]


@pytest.mark.usefixtures("fake_networks")
def test_two_batches_of_the_costliest_method_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, int]] = []

    def paint(method: str, layouts: Any, keys: Any, **more: Any) -> Any:
        drawn.append((method, len(layouts)))
        return painter(0.01)(method, layouts, keys, **more)

    monkeypatch.setattr("bench.generators.presets.make_generator", lambda _: paint)
    monkeypatch.chdir(tmp_path)
    timing = time_batches(Plan.resolve(job()))
    assert drawn == [(BOTH[1], 4)] * 2 and timing.pictures == 4
    assert all(one > 0.01 for one in timing.seconds) and min(timing.judge_seconds) > 0 and timing.bytes > 100
    assert timing.load_seconds > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("fake_networks")
def test_the_figures_follow_from_the_timing() -> None:
    plan, costs = Plan.resolve(job()), evaluations(job())
    assert costs == {BOTH[0]: 20, BOTH[1]: 24}
    timing = Timing(BOTH[1], (9.0, 4.8), (3.0, 0.4), 4, 1024.0)
    hours = (20 * 1.2 + 20 * 1.2 * 20 / 24 + 50 * 0.1) / 3600
    shown = lines(plan, timing, 1)
    assert f"time: about {hours:.2g} hours, an estimate from the second batch (1.2 s a picture, 0.1 s" in shown[1]
    assert shown[2] == "GPU-hours: 0, no GPU would be used"
    assert f"about {50 / 2**20:.2g} GiB, an estimate: 50 pictures with the true renderings, 1 KiB each" in shown[3]
    assert (
        f"about {hours / 2:.2g} hours" in lines(plan, timing, 2)[1] and "2 processes as if" in lines(plan, timing, 2)[1]
    )
    gpu = lines(Plan.resolve(job(device="cuda")), timing, 1)
    assert len(shown) == 6 and "no more than 3 shards" in shown[5] and not any("GPU-hours" in one for one in shown[4:])
    assert gpu[2] == f"GPU-hours: about {hours:.2g}, one GPU for that time"


@pytest.mark.usefixtures("fake_networks")
def test_more_processes_than_batches_do_not_shorten_the_time() -> None:
    plan, timing = (
        Plan.resolve(job(limit=5, seeds=(0,), methods=BOTH[:1])),
        Timing(BOTH[0], (1.0, 1.0), (1.0, 1.0), 4, 9.0),
    )
    assert len(plan.batches) == 4  # two of the method, two of true renderings
    assert lines(plan, timing, 64)[1] == lines(plan, timing, 4)[1] != lines(plan, timing, 3)[1]
    assert "4 processes as if" in lines(plan, timing, 64)[1]


def test_of_a_shard_its_own_part_is_foreseen() -> None:
    own = [job(shard=(i, 2), limit=15) for i in (1, 2)]
    counts = [len({index for _, index, _ in Plan.resolve(one).samples}) for one in own]
    for i, (one, count) in enumerate(zip(own, counts, strict=True), 1):
        assert f"shard {i}/2: {count} of these layouts" in describe(one)
        assert describe(one)[-1].startswith(f"in all: {4 * count} pictures of 64×64, {2 * 44 * count:,} guided")
    assert sum(counts) == 15 and min(counts) > 0
    with pytest.raises(InputError, match="shard: 3/2 is not between"):
        describe(job(shard=(3, 2)))


@pytest.mark.usefixtures("fake_networks")
def test_hours_and_gpu_hours_by_the_number_of_gpus() -> None:
    """3 groups of layouts: two GPUs get 2 and 1 of them, and both load for 36 s."""
    plan = Plan.resolve(job(device="cuda"))
    timing = Timing(BOTH[1], (9.0, 4.8), (3.0, 0.4), 4, 1024.0, load_seconds=36.0)
    hours = (20 * 1.2 + 20 * 1.2 * 20 / 24 + 50 * 0.1) / 3600
    own = [
        f"{hours * part + 0.01:.2g} h ({hours + n * 0.01:.2g} GPU-hours)"
        for n, part in ((1, 1), (2, 2 / 3), (3, 1 / 3))
    ]
    shown = lines(plan, timing, 1)[-1]
    assert shown.startswith("by shards, --shard i/n on n GPUs, then merge, 36 s of loading on each: ")
    assert shown.endswith(f"1: {own[0]}, 2: {own[1]}, 3: {own[2]}; no more than 3 shards, one a group of layouts")
    of_a_shard = lines(Plan.resolve(job(shard=(1, 2))), timing, 1)
    assert not any(line.startswith("by ") for line in of_a_shard)


@pytest.mark.usefixtures("fake_networks")
def test_with_ray_batches_are_dealt_out_not_groups_of_layouts() -> None:
    plan = Plan.resolve(job(device="cuda"))
    timing = Timing(BOTH[1], (9.0, 4.8), (3.0, 0.4), 4, 1024.0, load_seconds=36.0)
    hours, batches = (20 * 1.2 + 20 * 1.2 * 20 / 24 + 50 * 0.1) / 3600, len(plan.batches)
    shown = lines(plan, timing, 1)[-2]
    assert shown.startswith("by --engine ray on n GPUs, 36 s of loading on each: 1: ") and batches > 8
    assert f", 8: {hours * 2 / batches + 0.01:.2g} h ({hours + 8 * 0.01:.2g} GPU-hours), " in shown
    assert shown.endswith(f"; no more than {batches} GPUs, one a batch")


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(tmp_path))
    (line,) = estimate(job(profile="paper", layouts="mini", detector="mini", methods=("migc",)), 1)
    assert line.startswith("not timed: ") and "amdm weights fetch" in line


@pytest.mark.usefixtures("fake_networks")
def test_a_function_of_ones_own_is_timed_and_its_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    own = job(profile="external", methods=("mine",), generator="m:f", digest="1")
    assert "method mine: m:f" in describe(own) and "in all: 20 pictures" in describe(own)
    assert "two batches of 4 by mine" in estimate(own, 1)[0]

    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("no\nsuch thing")

    monkeypatch.setattr("bench.generators.presets.make_generator", lambda _: broken)
    assert estimate(own, 1) == ["not timed: ValueError: no\\nsuch thing"]


def test_what_the_job_would_refuse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^methods\.migc: would ignore the field interactions"):
        describe(job(layouts="mini-combined", methods=("migc",)))
    with pytest.raises(InputError, match=r"^detector: mini does not know"):
        describe(job(layouts=str(own_set(tmp_path / "own.json", ("a zebra",))), detector="mini"))
