"""From layouts to pictures in a run folder: groups, seeds, timing, failures, resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from amdm.progress import Progress
from bench.generators.generator import ContractError, Generated, Generator
from bench.generators.pull_back import PullBack
from bench.job.batches import CEILING, Group
from bench.job.conditions import conditions_of, true_conditions_of
from bench.layouts.layout_set import Entry
from bench.run.store import RunStore
from bench.workers.memory import Peak, with_peak
from bench.workers.processes import run_tasks
from bench.workers.retries import Attempt, attempt, show_events
from bench.workers.tracebacks import add_tracebacks, show_traceback


@dataclass(frozen=True)
class SampleResult:
    """What became of one sample. peak: of the memory while its batch was drawn. pull_back: where models were aggregated
    and pulled back."""

    entry: Entry
    image: np.ndarray | None
    error: str | None
    attempts: int
    batch_size: int
    seconds: float | None
    evaluations: dict[str, int]
    peak: Peak | None = None
    pull_back: PullBack | None = None


@dataclass(frozen=True)
class GroupResult:
    """A group's outcomes in order, what happened on the way, and where the errors among that were raised."""

    group: Group
    outcomes: list[SampleResult]
    events: list[str]
    tracebacks: list[str] = field(default_factory=list)


def generate(store: RunStore, work: Sequence[Group], source: Callable[[], Generator], workers: int) -> int:
    """Generate missing and previously failed samples; returns how many fail.

    source: makes the generator, once in each worker process; picklable for several.
    Ctrl-C finishes the batches in hand, records them and raises KeyboardInterrupt.
    """
    whole = store.complete_samples()
    todo = [group for group in work if not whole.issuperset(group.samples())]
    total = sum(len(group.entries) for group in work)
    done = total - sum(len(group.entries) for group in todo)
    if not todo:
        return len(store.failed_samples())
    last = ""
    with (
        Progress(total=total, initial=done, desc="generate", unit="image", smoothing=0.05) as progress,
        closing(run_tasks(GroupWorker, (source,), todo, workers)) as results,
    ):
        for result in results:
            record_group(store, result, whole)
            progress.update(len(result.outcomes))
            last = result.tracebacks[-1] if result.tracebacks else last
    failed = len(store.failed_samples())
    if failed and last:
        show_traceback(last, store.folder)
    return failed


class GroupWorker:
    """Makes the generator once, then generates groups."""

    def __init__(self, source: Callable[[], Generator]) -> None:
        self.generator = source()

    def __call__(self, group: Group) -> GroupResult:
        events: list[str] = []
        tracebacks: list[str] = []

        def work(entries: tuple[Entry, ...]) -> tuple[Generated, Peak | None]:
            keys = Group(group.method, group.seed, group.set_hash, entries).keys()
            layouts = [entry.layout for entry in entries]
            conditions = (true_conditions_of if group.method == CEILING else conditions_of)(entries)
            return with_peak(lambda: self.generator(group.method, layouts, keys, **conditions))

        def name(entries: tuple[Entry, ...]) -> str:
            return f"{group.method}: {len(entries)} samples from {entries[0].index}"

        done = attempt(group.entries, work, name, events, fatal=(ContractError,), tracebacks=tracebacks)
        return GroupResult(group, [one for part in done for one in _outcomes(part)], events, tracebacks)


def _outcomes(part: Attempt[Entry, tuple[Generated, Peak | None]]) -> list[SampleResult]:
    size = len(part.items)
    if part.made is None:
        return [SampleResult(entry, None, part.error, part.number, size, 0.0, {}) for entry in part.items]
    made, peak = part.made
    pull_back: Sequence[PullBack] = getattr(made, "pull_back", ())
    return [
        SampleResult(
            entry,
            made.images[k] if made.finite[k] else None,
            None if made.finite[k] else "NaN or infinity in the latents or the picture",
            part.number,
            size,
            part.seconds / size,
            made.evaluations,
            peak,
            pull_back[k] if pull_back and made.finite[k] else None,
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
            "peak_bytes": None if one.peak is None else one.peak.bytes,
            "peak_of": None if one.peak is None else one.peak.of,
            "pull_back": json.dumps(one.pull_back) if one.pull_back else None,
            "status": "failed" if one.image is None else "ok",
            "error": one.error,
        }
        if one.image is not None:
            row["image"], row["sha256"] = store.add_image(
                group.method, one.entry.image_id, one.entry.key, group.seed, one.image
            )
        rows.append(row)
    show_events(result.events)
    add_tracebacks(store.folder, result.tracebacks)
    store.record(samples=rows, events=result.events)
