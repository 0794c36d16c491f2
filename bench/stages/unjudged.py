"""Batches of pictures that a judge can have, as pictures are drawn."""

from __future__ import annotations

from collections.abc import Sequence, Set

from amdm.errors import InputError
from bench.job.batches import Group, chunked
from bench.layouts.layout_set import Entry
from bench.run.images import picture_name
from bench.run.inventory import SampleKey
from bench.run.store import RunStore
from bench.stages.generate import GroupResult
from bench.stages.verdicts import SCORING_BATCH, Picture

BatchKey = tuple[str, int, int]
"""Of a batch to be judged: method, seed, and which of the chunks of layouts."""


class Unjudged:
    """Which batches of pictures are to be judged, each as soon as nothing of it is left to be drawn.

    They are the batches of :func:`bench.stages.verdicts.score`, with the pictures in the same order.

    whole: samples whose pictures lie in the run. todo: groups that are drawn yet.

    Raises:
        InputError: the run has a sample of a layout that is not among the entries.
    """

    def __init__(self, store: RunStore, entries: Sequence[Entry], whole: Set[SampleKey], todo: Sequence[Group]) -> None:
        self._folder = store.folder.resolve()
        chunks = chunked(entries, SCORING_BATCH)
        self._entries = {entry.index: entry for entry in entries}
        if not self._entries.keys() >= {index for _, index, _ in whole}:
            raise InputError("names a layout that is not of this run", file=store.folder, field="samples")
        self._place = {entry.index: k for k, chunk in enumerate(chunks) for entry in chunk}
        counts = store.verdict_counts()
        self._lacking = {one for one in whole if counts.get(one) != self._entries[one[1]].verdicts}
        self._batches: dict[BatchKey, set[SampleKey]] = {}
        for one in whole:
            self._batches.setdefault(self._key(one), set()).add(one)
        self._left: dict[BatchKey, int] = {}
        for group in todo:
            for key in self._keys(group):
                self._left[key] = self._left.get(key, 0) + 1
        self._drawn = set(whole)

    def ready(self) -> list[list[Picture]]:
        """What can be judged at once."""
        return [self._pictures(key) for key in sorted(self._batches) if key not in self._left and self._lacks(key)]

    def awaited(self, todo: Sequence[Group]) -> int:
        """How many pictures can be judged behind those, once these groups are drawn."""
        drawn = {one for group in todo for one in group.samples()}
        return len(drawn.union(*(self._batches.get(key, ()) for key in self._left)))

    def after(self, result: GroupResult) -> list[list[Picture]]:
        """What can be judged now that this group is recorded."""
        found, group = [], result.group
        for one in result.outcomes:
            sample = group.method, one.entry.index, group.seed
            if one.image is not None and sample not in self._drawn:
                self._drawn.add(sample)
                self._lacking.add(sample)
                self._batches.setdefault(self._key(sample), set()).add(sample)
        for key in self._keys(group):
            self._left[key] -= 1
            if not self._left[key] and self._lacks(key):
                found.append(self._pictures(key))
        return found

    def _key(self, sample: SampleKey) -> BatchKey:
        method, index, seed = sample
        return method, seed, self._place[index]

    def _keys(self, group: Group) -> list[BatchKey]:
        return list(dict.fromkeys(map(self._key, group.samples())))

    def _lacks(self, key: BatchKey) -> bool:
        return not self._lacking.isdisjoint(self._batches.get(key, ()))

    def _pictures(self, key: BatchKey) -> list[Picture]:
        return [self._picture(sample) for sample in sorted(self._batches[key])]

    def _picture(self, sample: SampleKey) -> Picture:
        method, index, seed = sample
        entry = self._entries[index]
        return Picture(method, seed, entry, self._folder / picture_name(method, entry.image_id, entry.key, seed))
