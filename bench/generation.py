"""From layouts to pictures in a run folder: groups, seeds, timing, failures, resume."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from amdm.errors import InputError
from amdm.layout import Layout
from bench.engines.local import run_tasks
from bench.layouts.layout_set import Entry, LayoutSet
from bench.store import RunStore

ATTEMPTS = 3


class Generated(Protocol):
    """What a generator returns: uint8 RGB (B, H, W, 3), and whether each sample's latents were finite."""

    images: Sequence[np.ndarray] | np.ndarray
    finite: Sequence[bool]
    evaluations: dict[str, int]


Generator = Callable[[str, Sequence[Layout], Sequence[str]], Generated]
"""(method, layouts, keys) → pictures."""


@dataclass(frozen=True)
class Group:
    """Samples generated together; fixed by layout set and batch size, so that a torn group is repeated whole."""

    method: str
    seed: int
    set_hash: str
    entries: tuple[Entry, ...]

    def keys(self) -> list[str]:
        """What the random numbers of each sample derive from."""
        return [f"{self.set_hash}/{entry.index}/{self.seed}" for entry in self.entries]


@dataclass(frozen=True)
class Outcome:
    """What became of one sample."""

    entry: Entry
    image: np.ndarray | None
    error: str | None
    attempts: int
    batch_size: int
    seconds: float | None
    evaluations: dict[str, int]


@dataclass(frozen=True)
class GroupResult:
    """A group's outcomes in order, and what happened on the way."""

    group: Group
    outcomes: list[Outcome]
    events: list[str]


def groups(layout_set: LayoutSet, methods: Sequence[str], seeds: Sequence[int], batch: int) -> list[Group]:
    """All work of a run, method by method within a group of layouts, so that methods advance together."""
    chunks = [layout_set.entries[k : k + batch] for k in range(0, len(layout_set), batch)]
    return [Group(m, seed, layout_set.hash, chunk) for seed in seeds for chunk in chunks for m in methods]


def share(work: Sequence[Group], shard: tuple[int, int]) -> list[Group]:
    """The i-th (from 1) of n parts of the work: groups of layouts are dealt in turn, with all methods and seeds.

    Raises:
        InputError: fewer groups of layouts than parts.
    """
    i, n = shard
    turn = {first: k for k, first in enumerate(dict.fromkeys(group.entries[0].index for group in work))}
    if not 1 <= i <= n:
        raise InputError(f"{i}/{n} is not between 1/{n} and {n}/{n}", field="shard")
    if n > len(turn):
        raise InputError(f"{i}/{n}: there are only {len(turn)} groups of layouts to deal", field="shard")
    return [group for group in work if turn[group.entries[0].index] % n == i - 1]


def generate(
    store: RunStore, work: Sequence[Group], factory: Callable[..., Generator], arguments: tuple[Any, ...], workers: int
) -> int:
    """Generate what is not yet whole; returns how many samples failed for good.

    Ctrl-C finishes the batches in hand, records them and raises KeyboardInterrupt.
    """
    whole = store.whole_samples() | store.failed_samples()
    todo = [group for group in work if any((group.method, e.index, group.seed) not in whole for e in group.entries)]
    total = sum(len(group.entries) for group in work)
    done = total - sum(len(group.entries) for group in todo)
    if not todo:
        return len(store.failed_samples())
    with (
        tqdm(total=total, initial=done, desc="generate", unit="image", smoothing=0.05) as progress,
        closing(run_tasks(GroupWorker, (factory, arguments), todo, workers)) as results,
    ):
        for result in results:
            record_group(store, result)
            progress.update(len(result.outcomes))
    return len(store.failed_samples())


class GroupWorker:
    """Makes the generator once, then generates groups."""

    def __init__(self, factory: Callable[..., Generator], arguments: tuple[Any, ...]) -> None:
        self.generator = factory(*arguments)

    def __call__(self, group: Group) -> GroupResult:
        events: list[str] = []
        outcomes = self._attempt(group, group.entries, 1, events)
        return GroupResult(group, outcomes, events)

    def _attempt(self, group: Group, entries: tuple[Entry, ...], attempt: int, events: list[str]) -> list[Outcome]:
        """Generate; out of memory halves the batch, another error is tried again sample by sample."""
        own = Group(group.method, group.seed, group.set_hash, entries)
        started = time.perf_counter()
        try:
            made = self.generator(group.method, [entry.layout for entry in entries], own.keys())
        except Exception as error:  # whatever it is, the other samples of the run go on
            what, memory = f"{type(error).__name__}: {error}", _out_of_memory(error)
        else:
            return _outcomes(entries, made, attempt, time.perf_counter() - started)
        # Only here, where the error and the tensors that its traceback holds are gone, is there memory to go on.
        if memory:
            _free_memory()
        events.append(f"{group.method}: {len(entries)} samples from {entries[0].index}: {what}")
        if len(entries) > 1:
            size = (len(entries) + 1) // 2 if memory else 1
            parts = [entries[k : k + size] for k in range(0, len(entries), size)]
            return [one for part in parts for one in self._attempt(group, part, attempt, events)]
        if attempt < ATTEMPTS:
            return self._attempt(group, entries, attempt + 1, events)
        return [Outcome(entries[0], None, what, attempt, 1, 0.0, {})]


def _outcomes(entries: tuple[Entry, ...], made: Generated, attempt: int, seconds: float) -> list[Outcome]:
    return [
        Outcome(
            entry,
            made.images[k] if made.finite[k] else None,
            None if made.finite[k] else "NaN or infinity in the latents",
            attempt,
            len(entries),
            seconds / len(entries),
            made.evaluations,
        )
        for k, entry in enumerate(entries)
    ]


def record_group(store: RunStore, result: GroupResult) -> None:
    """Write a group's pictures and records."""
    group, rows = result.group, []
    for one in result.outcomes:
        row: dict[str, Any] = {
            "method": group.method,
            "layout_index": one.entry.index,
            "seed": group.seed,
            "attempts": one.attempts,
            "batch_size": one.batch_size,
            "seconds": one.seconds,
            "evaluations": json.dumps(one.evaluations),
            "status": "failed" if one.image is None else "ok",
            "error": one.error,
        }
        if one.image is not None:
            row["image"], row["sha256"] = store.add_image(
                group.method, one.entry.image_id, one.entry.key, group.seed, one.image
            )
        rows.append(row)
    for event in result.events:
        tqdm.write(str(InputError(event)), file=sys.stderr)  # on one line, without terminal escapes
    store.record(samples=rows, events=result.events)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def _free_memory() -> None:
    """Give back what torch keeps of a GPU's memory, where torch is in use at all."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
