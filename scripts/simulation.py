"""Seconds of a job from those of its stages, by discrete-event simulation: worker processes under one writer, and Ray.

What is under way at the same time shares the cores evenly, as processes of one machine do that use a core each
(processor sharing). With more cores than that, or a GPU each, nothing slows another.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from amdm.errors import InputError
from amdm.io.files import read_bytes
from bench.engines.sizes import Load, pool_sizes
from bench.job.batches import Group
from bench.stages.verdicts import SCORING_BATCH

MAX_TIMES_BYTES = 2**20
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Times:
    """Seconds. start: until a new process can load. load, load_judge: the models, the detector, in each process.
    draw: a picture, by method. judge: a picture. write: a picture and its record, record: a picture's verdicts, both by
    the writer. ray: of starting and ending Ray; None where it is not installed."""

    start: Seconds
    load: Seconds
    load_judge: Seconds
    draw: dict[str, Seconds]
    judge: Seconds
    write: Seconds
    record: Seconds
    ray: Seconds | None = None

    @classmethod
    def read(cls, path: Path, methods: Iterable[str]) -> Times:
        """Of a file that ``--save`` wrote. Raises InputError for another file, or one that lacks a method."""
        try:
            found = TypeAdapter(cls).validate_json(read_bytes(path, MAX_TIMES_BYTES), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(first["msg"], file=path, field=".".join(map(str, first["loc"]))) from None
        for method in methods:
            if method not in found.draw:
                raise InputError(
                    "has no seconds of a picture: measure with this method", file=path, field=f"draw.{method}"
                )
        return found

    def without(self, stage: str) -> Times:
        """As if a stage took no time."""
        return replace(self, **{stage: dict.fromkeys(self.draw, 0.0) if stage == "draw" else 0.0})


Key = tuple[str, int, int]
"""Of pictures that are judged together: method, seed, and which of the chunks of layouts."""


class Task(NamedTuple):
    """Seconds of a worker, then of the writer. makes: pictures, by the batch in which they are judged."""

    work: float
    write: float
    makes: Mapping[Key, int] = MappingProxyType({})


@dataclass
class Clock:
    """What is under way, in the order in which it ends. now: seconds since the beginning."""

    cores: float = math.inf
    now: float = 0.0
    _worked: float = 0.0
    _under_way: list[tuple[float, int, Any]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def begin(self, seconds: float, what: Any) -> None:
        """seconds: on a core of its own."""
        heappush(self._under_way, (self._worked + seconds, next(self._order), what))

    def end(self) -> Any:
        """The first to be done, and the time is then."""
        slower = max(1.0, len(self._under_way) / self.cores)
        until, _, what = heappop(self._under_way)
        self.now += (until - self._worked) * slower
        self._worked = until
        return what

    def drop(self, what: Any) -> None:
        """It is not waited for, if it is under way."""
        self._under_way = [one for one in self._under_way if one[2] is not what]
        heapify(self._under_way)


READY, WRITTEN = "ready", "written"


def by_processes(clock: Clock, tasks: Sequence[Task], workers: int, start: float, load: float) -> None:
    """:func:`bench.workers.processes.run_tasks`: one worker works in the parent, several are started.

    The parent has one batch more in hand than there are workers, and hands out none while it writes.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        clock.begin(load + sum(task.work + task.write for task in tasks), READY)
        clock.end()
        return
    waiting, queued, done = deque(tasks), deque[Task](), deque[Task]()
    for _ in range(workers):
        clock.begin(start + load, READY)
    idle = in_hand = 0
    writing = False
    while waiting or in_hand or writing:
        while not writing and waiting and in_hand < workers + 1:
            queued.append(waiting.popleft())
            in_hand += 1
        while idle and queued:
            clock.begin(queued[0].work, queued.popleft())
            idle -= 1
        if done and not writing:
            clock.begin(sum(task.write for task in done), WRITTEN)
            in_hand -= len(done)
            done.clear()
            writing = True
        ended = clock.end()
        if ended is WRITTEN:
            writing = False
            continue
        idle += 1
        if ended is not READY:
            done.append(ended)


@dataclass(eq=False)
class Actor:
    """Of a pool; task: what it does, None while it starts or is idle."""

    pool: Pool
    task: Task | None = None


@dataclass
class Pool:
    """:class:`bench.engines.pool.Pool`. begin: seconds until a new actor can take a task."""

    begin: float
    waiting: deque[Task] = field(default_factory=deque)
    starting: list[Actor] = field(default_factory=list)
    idle: list[Actor] = field(default_factory=list)
    running: int = 0

    @property
    def load(self) -> Load:
        """One place each."""
        return Load(1, len(self.waiting), self.running, len(self.starting) + len(self.idle) + self.running)

    def fit(self, clock: Clock, size: int) -> None:
        """Start actors or end them, if idle, until there are ``size``; give every idle one a task."""
        while self.load.size < size:
            self.starting.append(Actor(self))
            clock.begin(self.begin, self.starting[-1])
        while self.load.size > size and (self.starting or self.idle):
            clock.drop(self.starting.pop() if self.starting else self.idle.pop())
        while self.idle and self.waiting:
            actor = self.idle.pop()
            actor.task = self.waiting.popleft()
            clock.begin(actor.task.work, actor)
            self.running += 1

    def take(self, actor: Actor) -> Task | None:
        """What it has done; None where it has started, or was ended meanwhile."""
        task, actor.task = actor.task, None
        if task is not None:
            self.running -= 1
        elif actor in self.starting:
            self.starting.remove(actor)
        else:
            return None
        self.idle.append(actor)
        return task


def by_ray(clock: Clock, times: Times, tasks: Sequence[Task], places: int) -> None:
    """:func:`bench.stages.streaming.stream` on a cluster with a place for so many actors."""
    drawing = Pool(times.start + times.load, deque(tasks))
    judging = Pool(times.start + times.load_judge)
    left = Counter(key for task in tasks for key in task.makes)
    judged = judging_tasks(times, tasks)
    answers: deque[Actor] = deque()
    assert times.ray is not None
    clock.begin(times.ray, READY)
    clock.end()
    while any(pool.waiting or pool.running for pool in (drawing, judging)):
        for pool, size in zip((drawing, judging), pool_sizes(places, drawing.load, judging.load), strict=True):
            pool.fit(clock, size)
        while not answers:
            answers.append(clock.end())
        actor = answers.popleft()
        task = actor.pool.take(actor)
        if task is None:
            continue
        clock.begin(task.write, WRITTEN)
        while (ended := clock.end()) is not WRITTEN:
            answers.append(ended)
        left.subtract(task.makes.keys())
        judging.waiting += [judged[key] for key in task.makes if not left[key]]


def drawing_tasks(times: Times, work: Sequence[Group]) -> list[Task]:
    """The batches that are drawn."""
    order = dict.fromkeys(entry.index for group in work for entry in group.entries)
    chunk = {index: k // SCORING_BATCH for k, index in enumerate(order)}
    return [
        Task(
            times.draw[group.method] * len(group.entries),
            times.write * len(group.entries),
            Counter((group.method, group.seed, chunk[entry.index]) for entry in group.entries),
        )
        for group in work
    ]


def judging_tasks(times: Times, drawn: Sequence[Task]) -> dict[Key, Task]:
    """The batches that are judged."""
    pictures: Counter[Key] = Counter()
    for task in drawn:
        pictures.update(task.makes)
    return {key: Task(times.judge * n, times.record * n) for key, n in pictures.items()}


def job_seconds(times: Times, work: Sequence[Group], workers: int, ray: bool = False, cores: float = math.inf) -> float:
    """Of a whole job. cores: that all processes share, where they use one each; by default none slows another."""
    clock, drawn = Clock(cores), drawing_tasks(times, work)
    if ray:
        by_ray(clock, times, drawn, workers)
    else:  # everything is drawn and written, then everything judged and recorded
        by_processes(clock, drawn, workers, times.start, times.load)
        by_processes(clock, list(judging_tasks(times, drawn).values()), workers, times.start, times.load_judge)
    return clock.now
