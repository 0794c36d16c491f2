"""From layouts to pictures in a run folder: groups, seeds, timing, failures, resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from amdm.errors import InputError
from amdm.layout import Layout
from bench.attempts import Attempt, attempt, show_events
from bench.engines.local import run_tasks
from bench.layouts.layout_set import Entry, LayoutSet
from bench.store import RunStore


class Generated(Protocol):
    """What a generator returns: uint8 RGB (B, H, W, 3), and whether each sample's latents were finite."""

    images: Sequence[np.ndarray] | np.ndarray
    finite: Sequence[bool]
    evaluations: dict[str, int]


class ContractError(InputError):
    """A generator gave what is no picture, or another number of them: so it is with every batch, and the run stops."""


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
        raise InputError(
            f"{i}/{n}: there are only {len(turn)} groups of layouts to deal; a smaller --batch makes more",
            field="shard",
        )
    return [group for group in work if turn[group.entries[0].index] % n == i - 1]


def generate(
    store: RunStore, work: Sequence[Group], factory: Callable[..., Generator], arguments: tuple[Any, ...], workers: int
) -> int:
    """Generate what is not yet whole, samples that failed before too; returns how many fail.

    Ctrl-C finishes the batches in hand, records them and raises KeyboardInterrupt.
    """
    whole = store.whole_samples()
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
            record_group(store, result, whole)
            progress.update(len(result.outcomes))
    return len(store.failed_samples())


class GroupWorker:
    """Makes the generator once, then generates groups."""

    def __init__(self, factory: Callable[..., Generator], arguments: tuple[Any, ...]) -> None:
        self.generator = factory(*arguments)

    def __call__(self, group: Group) -> GroupResult:
        events: list[str] = []

        def work(entries: tuple[Entry, ...]) -> Generated:
            keys = Group(group.method, group.seed, group.set_hash, entries).keys()
            return self.generator(group.method, [entry.layout for entry in entries], keys)

        def name(entries: tuple[Entry, ...]) -> str:
            return f"{group.method}: {len(entries)} samples from {entries[0].index}"

        done = attempt(group.entries, work, name, events, fatal=(ContractError,))
        return GroupResult(group, [one for part in done for one in _outcomes(part)], events)


def _outcomes(part: Attempt[Entry, Generated]) -> list[Outcome]:
    size, made = len(part.items), part.made
    if made is None:
        return [Outcome(entry, None, part.error, part.number, size, 0.0, {}) for entry in part.items]
    return [
        Outcome(
            entry,
            made.images[k] if made.finite[k] else None,
            None if made.finite[k] else "NaN or infinity in the latents or the picture",
            part.number,
            size,
            part.seconds / size,
            made.evaluations,
        )
        for k, entry in enumerate(part.items)
    ]


def record_group(store: RunStore, result: GroupResult, whole: Container[tuple[str, int, int]] = ()) -> None:
    """Write a group's pictures and records. Samples that were ``whole`` before stay as they are, whatever happened."""
    group, rows = result.group, []
    for one in result.outcomes:
        if (group.method, one.entry.index, group.seed) in whole:
            continue
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
    show_events(result.events)
    store.record(samples=rows, events=result.events)
