"""A pool of Ray actors: each makes its worker once and has one task at a time.

Ray places actors, starts them again elsewhere when they die, and carries tasks and answers. What is here is which actor
has which task, so that a task whose actor died goes back to the queue, where any other takes it, a bounded number of
times, each of them told.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.workers.processes import Factory, Worker, WorkerLostError

ATTEMPTS = 3
"""How often a task is begun, and how often Ray starts an actor; then another takes its place."""


class Answer(NamedTuple):
    """What a worker answered to a task."""

    task: Any
    result: Any


class Lost(NamedTuple):
    """A task whose actor or node died for the ``number``-th time; after :data:`ATTEMPTS` it is not tried again."""

    task: Any
    number: int

    @property
    def given_up(self) -> bool:
        """Whether it is not tried again."""
        return self.number >= ATTEMPTS


class _Raised(NamedTuple):
    """What a worker raised, as a value: Ray would wrap it."""

    error: Exception


class Actor:
    """What runs on a node, as a Ray actor. Ray starts it again with the same arguments when it dies, idle or not."""

    def __init__(self, folder: str, factory: Factory, arguments: tuple[Any, ...]) -> None:
        self.folder, self.make = folder, partial(factory, *arguments)
        self.worker: Worker | None = None

    def start(self) -> _Raised | None:
        """Make the worker."""
        try:
            self._made()
        except Exception as error:
            return _Raised(error)
        return None

    def work(self, task: Any) -> Any:
        """The worker's answer."""
        try:
            return self._made()(task)
        except Exception as error:
            return _Raised(error)

    def _made(self) -> Worker:
        if self.worker is None:
            os.chdir(self.folder)  # paths are read as the command reads them; a node may not see the folder
            self.worker = self.make()
        return self.worker


@dataclass
class Pool:
    """Actors of one kind, and the tasks that wait for them.

    factory, arguments: make the worker, in each actor. options: what an actor takes of its node, as Ray names it.
    size: how many actors it should have; :meth:`fit` makes it so. failed: new actors in turn that never started.
    """

    factory: Factory
    arguments: tuple[Any, ...]
    options: dict[str, float]
    size: int = 0
    waiting: deque[tuple[Any, int]] = field(default_factory=deque)
    starting: dict[Any, tuple[Any, bool]] = field(default_factory=dict)
    running: dict[Any, tuple[Any, Any, int]] = field(default_factory=dict)
    idle: list[Any] = field(default_factory=list)
    failed: int = 0

    def add(self, tasks: Sequence[Any]) -> None:
        """Tasks to be done, behind those that wait."""
        self.waiting += [(task, 1) for task in tasks]

    @property
    def actors(self) -> int:
        """All that it has."""
        return len(self.starting) + len(self.running) + len(self.idle)

    @property
    def busy(self) -> bool:
        """Whether there is anything to wait for."""
        return bool(self.waiting or self.running)

    @property
    def references(self) -> list[Any]:
        """What Ray should be asked about."""
        return [*self.starting, *self.running]

    def fit(self, launch: Callable[[Pool], Any]) -> None:
        """Start actors or end them, if idle, until there are ``size``; give every idle one a task. Those that have not
        started yet are ended first: the others have their worker."""
        while self.actors < self.size:
            self._begin(launch(self), new=True)
        while self.actors > self.size and (self.idle or self.starting):
            _end(self.starting.pop(next(reversed(self.starting)))[0] if self.starting else self.idle.pop())
        while self.idle and self.waiting:
            actor, (task, number) = self.idle.pop(), self.waiting.popleft()
            self.running[actor.work.remote(task)] = actor, task, number

    def take(self, reference: Any) -> Answer | Lost | None:
        """What came of a task; None where an actor has started, or was started again.

        Raises:
            WorkerLostError: :data:`ATTEMPTS` new actors in turn died as often before they had made their worker.
            Exception: what a worker raised.
        """
        import ray

        if reference in self.starting:
            self._started(reference)
            return None
        actor, task, number = self.running.pop(reference)
        try:
            result = ray.get(reference)
        except ray.exceptions.RayError:  # the actor died, or the node that held its answer
            self._begin(actor, new=False)
            if number < ATTEMPTS:
                self.waiting.append((task, number + 1))
            return Lost(task, number)
        self.idle.append(actor)
        return Answer(task, _value(result))

    def close(self) -> None:
        """End every actor, whatever it does."""
        for actor, *_ in [*self.starting.values(), *self.running.values()]:
            _end(actor)
        for actor in self.idle:
            _end(actor)

    def _begin(self, actor: Any, new: bool) -> None:
        start = actor.start.options(max_task_retries=-1)  # Ray counts each look at an actor that it restarts
        self.starting[start.remote()] = actor, new

    def _started(self, reference: Any) -> None:
        import ray

        actor, new = self.starting.pop(reference)
        try:
            result = ray.get(reference)
        except ray.exceptions.RayError as error:
            _end(actor)
            self.failed += new
            if self.failed >= ATTEMPTS:
                what = f"{ATTEMPTS} workers in turn died {ATTEMPTS} times while they started ({type(error).__name__})"
                raise WorkerLostError(what) from error
            return
        self.failed = 0
        _value(result)
        self.idle.append(actor)


def _value(result: Any) -> Any:
    if isinstance(result, _Raised):
        raise result.error
    return result


def _end(actor: Any) -> None:
    import ray

    ray.kill(actor)


def launcher(folder: Path) -> Callable[[Pool], Any]:
    """Starts actors that work in ``folder``, which every node must see."""
    import ray

    kind = ray.remote(max_restarts=ATTEMPTS - 1)(Actor)
    return lambda pool: kind.options(**pool.options).remote(str(folder), pool.factory, pool.arguments)
