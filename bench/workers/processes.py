"""Work on one machine: tasks in worker processes, results in the parent, which alone writes.

A task does not depend on other tasks, so results do not depend on the number of workers.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import cache, partial
from multiprocessing import get_context
from types import FrameType
from typing import Any, Protocol

from amdm.child_process import end_with_parent
from amdm.errors import InputError


class Worker(Protocol):
    """Built once in each process; then answers tasks."""

    def __call__(self, task: Any, /) -> Any: ...


class WorkerLostError(RuntimeError):
    """A worker process died: killed, or out of memory. What was recorded is whole."""


STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a machine sends before it is taken away."""

ONE_REQUEST = 1.0
"""Seconds in which several signals are one: `timeout` and batch systems signal a process and then its group."""

LOOK_SECONDS = 5.0
"""How often workers are looked at while none answers: under load the pool was seen not to notice that one died."""

MAX_WORKERS = 4
"""By default: more gain little where the parent writes the pictures."""

Factory = Callable[..., Worker]
Interrupted = Callable[[], bool]
_made: Callable[[], Worker] | None = None


def worker_count(asked: int | None, heavy: bool = False) -> int:
    """How many processes to use. heavy: one fills all cores and much of the memory, or the accelerator.

    Raises:
        InputError: what is asked for is not an integer of 1 or more.

    >>> worker_count(3), worker_count(None, heavy=True)
    (3, 1)
    """
    if asked is not None:
        if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
            raise InputError(f"{asked!r} is not an integer of 1 or more", field="workers")
        return asked
    if heavy:
        return 1
    import torch

    return 1 if torch.cuda.is_available() else min(MAX_WORKERS, len(os.sched_getaffinity(0)))


def run_tasks(
    factory: Factory, arguments: tuple[Any, ...], tasks: Sequence[Any], workers: int
) -> Generator[Any, None, None]:
    """Results of the tasks as they are done. ``factory(*arguments)`` makes a worker; 1 worker works in this process.

    Close the iterator (``contextlib.closing``) where it may be left early.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the results of what was in hand are given; after a second one,
            at once.
        WorkerLostError: a worker process died.
    """
    run = _in_this_process if workers == 1 or len(tasks) <= 1 else _in_processes
    with interrupt_deferred() as interrupted:
        yield from run(factory, arguments, tasks, workers, interrupted)
        if interrupted():
            raise KeyboardInterrupt


def _in_this_process(
    factory: Factory, arguments: tuple[Any, ...], tasks: Sequence[Any], _: int, interrupted: Interrupted
) -> Iterator[Any]:
    worker = factory(*arguments)
    for task in tasks:
        if interrupted():
            return
        yield worker(task)


def _in_processes(
    factory: Factory, arguments: tuple[Any, ...], tasks: Sequence[Any], workers: int, interrupted: Interrupted
) -> Iterator[Any]:
    pool = ProcessPoolExecutor(min(workers, len(tasks)), get_context("spawn"), _start, (factory, arguments))
    launched = pool._processes  # this pool's alone: the caller may have children of its own
    waiting: list[Any] = list(reversed(tasks))
    running: set[Future[Any]] = set()
    try:
        with _interrupt_ignored():  # each of these submissions launches a worker, which inherits it
            for _ in range(min(workers, len(tasks))):
                running.add(pool.submit(_answer, waiting.pop()))
        while running or (waiting and not interrupted()):  # quick tasks may all be done at once
            while waiting and len(running) < workers + 1 and not interrupted():
                running.add(pool.submit(_answer, waiting.pop()))
            done, running = wait(running, LOOK_SECONDS, return_when=FIRST_COMPLETED)
            if not done and not all(process.is_alive() for process in launched.values()):
                raise BrokenProcessPool("seen here, where the pool did not notice it")
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        _kill(launched.values())  # they ignore the signal with which the pool would end them, and it waits for them
        raise WorkerLostError("a worker process died (killed, or out of memory)") from error
    except BaseException:  # Ctrl-C for the second time, or a full disk: nobody waits for what is in hand
        _kill(launched.values())
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _kill(processes: Iterable[Any]) -> None:
    for process in list(processes):
        process.kill()


def _start(factory: Factory, arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    global _made
    _made = cache(partial(factory, *arguments))


def _answer(task: Any) -> Any:
    assert _made is not None
    return _made()(task)  # made here: the pool would take an error on the way for the death of the process


@contextmanager
def interrupt_deferred() -> Iterator[Interrupted]:
    """Inside, the first Ctrl-C or SIGTERM is only noted; the second raises. In other threads nothing changes."""
    asked: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:
        if asked and time.monotonic() - asked[0] < ONE_REQUEST:
            return
        if asked:
            raise KeyboardInterrupt
        asked.append(time.monotonic())
        with suppress(OSError):  # Ctrl-C has also ended who reads it, `| tee` say
            os.write(2, b"\nstopping: finishing the batches in hand (the same signal again stops at once)\n")

    with _handled_by(note):
        yield lambda: bool(asked)


@contextmanager
def _interrupt_ignored() -> Iterator[None]:
    with _handled_by(signal.SIG_IGN):
        yield


@contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def use_one_thread() -> None:
    """On a CPU several processes beat several threads where networks are small, and rounding is then the same for any
    number of processes. A full-size network, or a user's own, has all cores."""
    import torch

    torch.set_num_threads(1)
