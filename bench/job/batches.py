"""Batches: samples generated together, fixed by layout set and batch size; shards of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amdm.errors import InputError
from bench.layouts.layout_set import Entry, LayoutSet, in_turn

CEILING = "ceiling"
"""The method name of true renderings: the score of a perfect generator under this judge."""


@dataclass(frozen=True)
class Group:
    """Samples generated together, and repeated together; fixed by layout set and batch size, but for the last of a part
    of the set, which is shorter than in a larger part."""

    method: str
    seed: int
    set_hash: str
    entries: tuple[Entry, ...]

    def keys(self) -> list[str]:
        """What the random numbers of each sample derive from."""
        return [f"{self.set_hash}/{entry.index}/{self.seed}" for entry in self.entries]

    def samples(self) -> list[tuple[str, int, int]]:
        """(method, layout index, seed) of each."""
        return [(self.method, entry.index, self.seed) for entry in self.entries]


def groups(layout_set: LayoutSet, methods: Sequence[str], seeds: Sequence[int], batch: int) -> list[Group]:
    """All work of a run, method by method within a group of layouts, so that methods advance together."""
    chunks = chunked(layout_set.entries, batch)
    return [Group(m, seed, layout_set.hash, chunk) for seed in seeds for chunk in chunks for m in methods]


def chunked(entries: Sequence[Entry], size: int) -> list[tuple[Entry, ...]]:
    """Layouts that are worked on together: in turn over the levels, as parts of a set are taken, so that the chunks of
    a part are those of a larger part but for its last one."""
    ordered = in_turn(entries)
    return [tuple(ordered[k : k + size]) for k in range(0, len(ordered), size)]


def torn(before: Sequence[Group], after: Sequence[Group]) -> list[tuple[str, int, int]]:
    """The samples of batches ``before`` that stand in another, larger batch ``after``."""
    larger = {sample: group.samples() for group in after for sample in group.samples()}
    return [one for group in before for one in group.samples() if larger.get(one, group.samples()) != group.samples()]


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


def dealt(layout_set: LayoutSet, batch: int, shard: tuple[int, int] | None) -> tuple[Entry, ...]:
    """The layouts of a part of the work (:func:`share`), in their order; all without one."""
    if shard is None:
        return layout_set.entries
    work = share(groups(layout_set, [""], [0], batch), shard)
    return tuple(sorted((entry for group in work for entry in group.entries), key=lambda entry: entry.index))
