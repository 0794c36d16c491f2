from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.workers.processes import WorkerLostError, run_tasks

ENDLESS = 10**6
ROOT = Path(__file__).resolve().parents[3]


class Doubler:
    """Answers at once; a negative task kills the process, and one never ends."""

    def __call__(self, task: int) -> int:
        if task < 0:
            time.sleep(2)  # until the other worker is at work
            os._exit(3)
        if task == ENDLESS:
            time.sleep(3600)
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
