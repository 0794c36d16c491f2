"""Work on one machine: tasks in worker processes, results in the parent, which alone writes.

A task does not depend on other tasks, so results do not depend on the number of workers. On a CPU several
single-thread workers are faster than one with several threads.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any, Protocol


class Worker(Protocol):
    """Built once in each process; then answers tasks."""

    def __call__(self, task: Any) -> Any: ...


Factory = Callable[..., Worker]
_worker: Worker | None = None


def run_tasks(factory: Factory, arguments: tuple[Any, ...], tasks: Sequence[Any], workers: int) -> Iterator[Any]:
    """Results of the tasks as they are done. ``factory(*arguments)`` makes a worker; 1 worker works in this process.

    Closing the iterator early drops what has not begun and waits for what has.
    """
    if workers == 1 or len(tasks) <= 1:
        worker = factory(*arguments)
        yield from map(worker, tasks)
        return
    pool = ProcessPoolExecutor(min(workers, len(tasks)), get_context("spawn"), _start, (factory, arguments))
    try:
        waiting: list[Any] = list(reversed(tasks))
        running: set[Future[Any]] = set()
        while waiting or running:
            while waiting and len(running) < workers + 1:
                running.add(pool.submit(_answer, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(factory: Factory, arguments: tuple[Any, ...]) -> None:
    # Ctrl-C is for the parent, which finishes what is in hand.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    global _worker
    _worker = factory(*arguments)


def _answer(task: Any) -> Any:
    assert _worker is not None
    return _worker(task)
