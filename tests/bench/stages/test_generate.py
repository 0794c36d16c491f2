from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from amdm.layout import Layout
from bench.generators.generator import Generator
from bench.job.batches import groups
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.stages.generate import GroupWorker
from bench.workers.processes import ONE_REQUEST
from tests.bench.fakes import METHODS, paint, painter, small_run, small_set

RECORDS = ["method", "layout_index", "seed", "status", "error", "attempts", "image", "sha256", "batch_size"]


def records(folder: Path) -> pd.DataFrame:
    """What must be equal between runs: all but times."""
    return read_table(folder, "samples")[RECORDS]


def pictures(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("images/**/*")) if p.is_file()}


def assert_same(one: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(records(one), records(other))
    pd.testing.assert_frame_equal(read_table(one, "verdicts"), read_table(other, "verdicts"))
    assert pictures(one) == pictures(other)


def test_the_seconds_of_a_batch_are_shared_by_its_pictures() -> None:
    work, started = groups(small_set(), METHODS, (0,), 4), time.perf_counter()
    result = GroupWorker(lambda: painter(delay=0.05))(work[0])
    seconds = [one.seconds or 0.0 for one in result.outcomes]
    assert len(seconds) == 4 and len(set(seconds)) == 1
    assert 0.05 <= sum(seconds) <= time.perf_counter() - started


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unstopped") / "run"
    assert small_run(folder) == 0
    return folder


def test_every_sample_is_generated_and_judged(unstopped: Path) -> None:
    layout_set = small_set()
    expected = {(method, entry.index, 0) for method in METHODS for entry in layout_set.entries}
    samples, verdicts = read_table(unstopped, "samples"), read_table(unstopped, "verdicts")
    assert set(samples[["method", "layout_index", "seed"]].itertuples(index=False, name=None)) == expected
    assert (samples.status == "ok").all() and (samples.seconds > 0).all()
    assert len(verdicts) == len(METHODS) * layout_set.instance_count
    assert 0.2 < verdicts.attr.mean() < 0.95
    assert len(pictures(unstopped)) == len(expected)


def test_groups_depend_on_the_set_and_the_batch_only() -> None:
    layout_set = small_set()
    found = groups(layout_set, METHODS, (0, 1), 8)
    assert [len(group.entries) for group in found[::2]] == [8, 8, 4] * 2
    assert [e.index for g in found[:6:2] for e in g.entries] == [e.index for e in layout_set.entries]
    assert found[0].keys()[0] == f"{layout_set.hash}/{layout_set.entries[0].index}/0"
    assert found[-1].keys()[0].endswith("/1")


def test_a_complete_run_is_not_repeated(unstopped: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in unstopped.rglob("*.png")}
    assert small_run(unstopped, factory=refuse) == 0
    assert {path: path.stat().st_mtime_ns for path in unstopped.rglob("*.png")} == before


def refuse() -> Generator:
    raise AssertionError("nothing was to be generated")


def test_lost_pictures_are_made_again_the_same(unstopped: Path, tmp_path: Path) -> None:
    small_run(tmp_path / "run")
    found = sorted((tmp_path / "run").rglob("*.png"))
    found[3].unlink()
    found[17].write_bytes(found[17].read_bytes()[:40])
    found[30].write_bytes(b"")
    small_run(tmp_path / "run")
    assert_same(tmp_path / "run", unstopped)


def test_results_do_not_depend_on_the_number_of_workers(unstopped: Path, tmp_path: Path) -> None:
    small_run(tmp_path / "run", workers=2)
    assert_same(tmp_path / "run", unstopped)


LONGEST = 300
"""Seconds after which a run that should have ended is killed: nothing else here depends on how fast the machine is."""


def start(folder: Path, delay: float = 0.02, workers: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.fakes", str(folder), str(delay), str(workers), str(begun_in(folder))]
    root = Path(__file__).resolve().parents[3]
    return subprocess.Popen(
        command, cwd=root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )


def begun_in(folder: Path) -> Path:
    """The file that says which batches were begun."""
    return folder.with_name("begun")


def batches_begun(folder: Path) -> int:
    return len(begun_in(folder).read_text().splitlines()) if begun_in(folder).exists() else 0


def wait_until(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it is so, or the process has ended."""
    while not there() and process.poll() is None:
        time.sleep(0.005)


def wait_for_samples(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until ``count`` pictures lie there."""
    wait_until(lambda: len(list(folder.rglob("*.png"))) >= count, process)


@contextlib.contextmanager
def running(folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = start(folder, **options)

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    late = threading.Timer(LONGEST, kill)
    late.start()
    try:
        yield process
    finally:
        late.cancel()
        kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def children_of(process: subprocess.Popen[str]) -> list[str]:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


def test_five_kills_leave_the_records_of_an_unstopped_run(unstopped: Path, tmp_path: Path) -> None:
    folder, chance = tmp_path / "run", random.Random(0)
    for kill in range(5):
        with running(folder) as process:
            wait_for_samples(folder, 1 + 6 * kill, process)
            time.sleep(chance.uniform(0, 0.06))
            process.kill()
    small_run(folder)
    assert_same(folder, unstopped)
    assert RunInfo.read(folder).status == "complete"


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_control_c_keeps_the_batch_in_hand(unstopped: Path, tmp_path: Path, asked: signal.Signals) -> None:
    folder = tmp_path / "run"
    with running(folder, delay=0.4) as process:
        wait_until(lambda: batches_begun(folder) >= 2, process)
        for _ in range(2):  # a batch system signals a process, and then its group
            process.send_signal(asked)
        _, errors = process.communicate()
    assert process.returncode not in (0, -signal.SIGTERM, -signal.SIGKILL) and "finishing" in errors
    there = len(read_table(folder, "samples"))
    assert 8 <= there == 4 * batches_begun(folder) == len(pictures(folder)) < len(pictures(unstopped))
    small_run(folder)
    assert_same(folder, unstopped)


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_control_c_with_workers_keeps_what_is_in_hand(unstopped: Path, tmp_path: Path, asked: signal.Signals) -> None:
    folder = tmp_path / "run"
    with running(folder, delay=1, workers=2) as process:
        wait_until(lambda: batches_begun(folder) >= 2, process)
        children = children_of(process)
        assert len(children) >= 2 and all(map(ignores_interrupts, children))
        os.killpg(process.pid, asked)  # as a terminal does, or a batch system: to the workers too
        process.communicate()
    assert 8 <= len(read_table(folder, "samples")) == 4 * batches_begun(folder) < len(pictures(unstopped))
    small_run(folder)
    assert_same(folder, unstopped)


def test_a_second_control_c_does_not_wait_for_the_workers(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with running(folder, delay=10 * LONGEST, workers=2) as process:
        wait_until(lambda: batches_begun(folder) == 2, process)
        children = children_of(process)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None and any("finishing" in line for line in process.stderr)  # it was noted
        time.sleep(ONE_REQUEST + 0.2)
        assert process.poll() is None  # it waits for what is in hand
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode != -signal.SIGKILL  # by itself, and not as too late
        wait_until_gone(children)


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    with running(tmp_path / "run", workers=2) as process:
        wait_for_samples(tmp_path / "run", 1, process)
        children = children_of(process)
        process.kill()
        process.wait()
        assert len(children) >= 2
        wait_until_gone(children)


def wait_until_gone(processes: Sequence[str]) -> None:
    deadline = time.monotonic() + 60
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [one for one in processes if alive(one)]


def ignores_interrupts(process: str) -> bool:
    """Whether a process leaves SIGINT to its parent, from its first moment."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    mask = next(line.split()[1] for line in lines if line.startswith("SigIgn:"))
    return bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)


def alive(process: str) -> bool:
    """Whether a process exists and is not just waiting to be reaped."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class OutOfMemoryError(RuntimeError):
    """As torch.cuda's is called."""


def little_memory() -> Generator:
    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> SimpleNamespace:
        if len(layouts) > 1:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return paint(method, layouts, keys)

    return run


def test_out_of_memory_halves_the_batch_and_is_recorded(unstopped: Path, tmp_path: Path) -> None:
    assert small_run(tmp_path / "run", factory=little_memory) == 0
    assert pictures(tmp_path / "run") == pictures(unstopped)
    assert set(records(tmp_path / "run").batch_size) == {1}
    database = sqlite3.connect(tmp_path / "run" / "run.sqlite")
    events = [what for (what,) in database.execute("SELECT what FROM events")]
    database.close()
    assert any("4 samples" in what and "out of memory" in what for what in events)
    assert any("2 samples" in what for what in events)


def failing() -> Generator:
    calls: dict[str, int] = {}

    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> SimpleNamespace:
        if any(key.split("/")[1] == "0" for key in keys):
            calls[method] = calls.get(method, 0) + 1
            # One method fails for ever, the other but twice: once in its batch, once alone.
            if method == "first" or calls[method] <= 2:
                raise ValueError("broken")
        return paint(method, layouts, keys)

    return run


def test_a_sample_that_fails_three_times_is_given_up_and_the_others_go_on(unstopped: Path, tmp_path: Path) -> None:
    assert small_run(tmp_path / "run", factory=failing) == 1
    failed = records(tmp_path / "run").query("status == 'failed'")
    assert failed[["method", "layout_index", "error", "attempts"]].values.tolist() == [
        ["first", 0, "ValueError: broken", 3]
    ]
    verdicts = read_table(tmp_path / "run", "verdicts")
    assert not ((verdicts.method == "first") & (verdicts.layout_index == 0)).any()
    second = records(tmp_path / "run").query("method == 'second' and layout_index == 0").iloc[0]
    assert second.status == "ok" and second.attempts > 1
    assert small_run(tmp_path / "run") == 0  # the same command tries it again
    assert pictures(tmp_path / "run") == pictures(unstopped)


def test_what_is_whole_stays_whatever_happens_to_its_group(unstopped: Path, tmp_path: Path) -> None:
    """One picture is lost; now its method fails on every sample, and then works again."""

    def broken() -> Generator:
        def run(*_: object) -> SimpleNamespace:
            raise ValueError("broken")

        return run

    small_run(tmp_path / "run")
    before = records(tmp_path / "run")
    lost = sorted((tmp_path / "run").rglob("*.png"))[0]
    lost.unlink()
    assert small_run(tmp_path / "run", factory=broken) == 1
    now = records(tmp_path / "run")
    changed = now[(now != before).any(axis=1) & ~(now.isna() & before.isna()).all(axis=1)]
    assert now.status.value_counts().to_dict() == {"ok": len(before) - 1, "failed": 1} and len(changed) >= 1
    judged = read_table(tmp_path / "run", "verdicts").groupby(["method", "layout_index"]).ngroups
    assert judged == len(before) - 1
    small_run(tmp_path / "run")
    assert_same(tmp_path / "run", unstopped)


def not_finite() -> Generator:
    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> SimpleNamespace:
        made = paint(method, layouts, keys)
        made.finite = [key.split("/")[1] != "0" for key in keys]
        return made

    return run


def test_nan_is_a_failure_not_a_picture(tmp_path: Path) -> None:
    assert small_run(tmp_path / "run", factory=not_finite) == len(METHODS)
    failed = records(tmp_path / "run").query("status == 'failed'")
    assert failed.layout_index.tolist() == [0, 0] and failed.error.str.contains("NaN").all()
    assert failed.image.isna().all()
    assert not any(path.endswith("_0.png") for path in pictures(tmp_path / "run"))


def test_a_full_disk_ends_and_the_same_command_goes_on(
    unstopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = os.fsync, []

    def fsync(handle: int) -> None:
        written.append(handle)
        if len(written) > 24:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        small_run(tmp_path / "run")
    monkeypatch.undo()
    assert 0 < len(read_table(tmp_path / "run", "samples")) < 20
    small_run(tmp_path / "run")
    assert_same(tmp_path / "run", unstopped)
