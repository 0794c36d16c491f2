from __future__ import annotations

import os

import pytest

from bench.engines.local import WorkerLostError, run_tasks


class Doubler:
    """Answers at once; a negative task kills the process."""

    def __call__(self, task: int) -> int:
        if task < 0:
            os._exit(3)
        return 2 * task


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_task_is_answered_however_quick_they_are(workers: int) -> None:
    for _ in range(3 if workers > 1 else 1):  # all that run may be done at the same moment
        assert sorted(run_tasks(Doubler, (), range(300), workers)) == [2 * k for k in range(300)]


def test_a_worker_that_dies_is_an_error() -> None:
    with pytest.raises(WorkerLostError):
        list(run_tasks(Doubler, (), [1, 2, -1, 4, 5], 2))
