from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.workers import processes
from bench.workers.processes import WorkerLostError, interrupt_deferred, run_tasks

ENDLESS, SLOW = 10**6, 10**5
ROOT = Path(__file__).resolve().parents[3]


class Doubler:
    """Answers at once; a negative task kills the process, one never ends, and one takes a second."""

    def __call__(self, task: int) -> int:
        if task < 0:
            time.sleep(2)  # until the other worker is at work
            os._exit(3)
        if task == ENDLESS:
            time.sleep(3600)
        time.sleep(task == SLOW)
        return 2 * task


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_task_is_answered_however_quick_they_are(workers: int) -> None:
    for _ in range(3 if workers > 1 else 1):  # all that run may be done at the same moment
        assert sorted(run_tasks(Doubler, (), range(300), workers)) == [2 * k for k in range(300)]


def test_a_worker_that_dies_is_an_error() -> None:
    with pytest.raises(WorkerLostError):
        list(run_tasks(Doubler, (), [1, 2, -1, 4, 5], 2))


def test_nobody_waits_for_the_others_when_a_worker_dies() -> None:
    code = f"from {__name__} import *\nif __name__ == '__main__': list(run_tasks(Doubler, (), [-1, {ENDLESS}], 2))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert found.returncode == 1 and "WorkerLostError: a worker process died" in found.stderr


class Unbuilt:
    """Cannot be made."""

    def __init__(self) -> None:
        raise InputError("is absent", file="last.safetensors")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_wrong_when_a_worker_is_made_is_told(workers: int) -> None:
    with pytest.raises(InputError, match=r"^last.safetensors: is absent$"):
        list(run_tasks(Unbuilt, (), [1, 2, 3], workers))


def test_children_of_the_caller_are_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.1)
    short, long = (get_context("fork").Process(target=time.sleep, args=(3600,), daemon=True) for _ in range(2))
    short.start(), long.start()
    with closing(run_tasks(Doubler, (), [1, SLOW, SLOW, SLOW, ENDLESS, ENDLESS], 2)) as results:
        first = next(results)
        short.kill()
        assert sorted([first, *(next(results) for _ in range(3))]) == [2, *[2 * SLOW] * 3]
    long.join(1)
    assert long.is_alive()
    long.kill()


def test_ctrl_c_is_noted_where_nobody_reads_what_is_said() -> None:
    read, write = os.pipe()
    os.close(read)
    kept = os.dup(2)
    os.dup2(write, 2)
    try:
        with interrupt_deferred() as interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupted()
    finally:
        os.dup2(kept, 2)
        os.close(kept), os.close(write)
