"""A run on a cluster: batches are judged while others are drawn; this process alone writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm import tqdm

from bench.batches import Group
from bench.detectors import load
from bench.detectors.detector import Detector
from bench.detectors.registry import is_heavy
from bench.engines.cluster import Cluster
from bench.engines.pool import ATTEMPTS, Answer, Lost, Pool
from bench.generate import GroupResult, GroupWorker, Outcome, record_group
from bench.generators.generator import Generator
from bench.judges import conditions
from bench.judges.conditions import Judges
from bench.layouts.layout_set import Entry
from bench.plan import Plan
from bench.retries import show_events
from bench.run.inventory import SampleKey
from bench.run.store import RunStore
from bench.spec import EXTERNAL
from bench.tracebacks import show_traceback
from bench.unjudged import Unjudged
from bench.verdicts import BatchVerdicts, Picture, ScoringWorker, record_verdicts


def stream(
    cluster: Cluster, store: RunStore, plan: Plan, work: Sequence[Group], source: Callable[[], Generator]
) -> None:
    """Generate what is missing of ``work`` and judge every picture of the run that has no verdicts, as
    :func:`bench.generate.generate` and :func:`bench.verdicts.score` do one after the other; the records are the same.

    Detections are not kept on disk: that file is for the processes of one machine.
    """
    job = plan.job
    drawing = cluster.options(heavy=job.profile == "paper" or (job.profile == EXTERNAL and job.device != "cpu"))
    judging = cluster.options(heavy=is_heavy(plan.detector.name))
    stream_pools(
        cluster,
        store,
        plan.layout_set.entries,
        work,
        Pool(GroupWorker, (source,), drawing),
        judge_pool(partial(load.make_judge, plan.detector), conditions.load_judges, judging),
    )


def judge_pool(source: Callable[[], Detector], judges: Callable[[], Judges], options: dict[str, float]) -> Pool:
    """Of workers that judge batches of pictures."""
    return Pool(ScoringWorker, (source, judges), options)


def stream_pools(
    cluster: Cluster, store: RunStore, entries: Sequence[Entry], work: Sequence[Group], drawing: Pool, judging: Pool
) -> None:
    """:func:`stream` with pools that are made already."""
    whole = store.complete_samples()
    todo = [group for group in work if not whole.issuperset(group.samples())]
    unjudged = Unjudged(store, entries, whole, todo)
    drawing.add(todo)
    judging.add(unjudged.ready())
    if not (drawing.busy or judging.busy):
        return
    pictures = sum(len(group.entries) for group in todo)
    writer = _Writer(store, whole, unjudged, judging)
    with ExitStack() as opened:
        writer.drawn = opened.enter_context(_bar("generate", pictures))
        writer.judged = opened.enter_context(_bar("judge", pictures + sum(len(batch) for batch, _ in judging.waiting)))
        for pool, found in opened.enter_context(closing(cluster.results(drawing, judging))):
            if isinstance(found, Lost):
                writer.tell(found)
            if isinstance(found, Lost) and not found.given_up:
                continue
            if pool is drawing:
                writer.group(found.result if isinstance(found, Answer) else lost_group(found.task))
            else:
                writer.verdicts(found.result if isinstance(found, Answer) else lost_batch(found.task))
    if writer.last and store.failed_samples():
        show_traceback(writer.last, store.folder)


@dataclass
class _Writer:
    """Puts down what comes, and hands on to the judge what can be judged then."""

    store: RunStore
    whole: set[SampleKey]
    unjudged: Unjudged
    judging: Pool
    drawn: Any = None
    judged: Any = None
    last: str = ""

    def group(self, result: GroupResult) -> None:
        record_group(self.store, result, self.whole)
        self.drawn.update(len(result.outcomes))
        self.last = result.tracebacks[-1] if result.tracebacks else self.last
        self.judging.add(self.unjudged.after(result))

    def verdicts(self, result: BatchVerdicts) -> None:
        record_verdicts(self.store, result)
        self.judged.update(result.pictures)

    def tell(self, lost: Lost) -> None:
        event = f"{_named(lost.task)}: a worker was lost with it, time {lost.number} of {ATTEMPTS}"
        show_events([event])
        self.store.record(events=[event])


def lost_group(group: Group) -> GroupResult:
    """What became of samples whose worker died every time."""
    error = f"its worker died {ATTEMPTS} times (killed, or out of memory)"
    size = len(group.entries)
    return GroupResult(group, [Outcome(one, None, error, ATTEMPTS, size, 0.0, {}) for one in group.entries], [])


def lost_batch(batch: Sequence[Picture]) -> BatchVerdicts:
    """Pictures whose judge died every time have no verdicts."""
    return BatchVerdicts({}, len(batch), [], [])


def _named(task: Any) -> str:
    if isinstance(task, Group):
        return f"{task.method}: {len(task.entries)} samples from {task.entries[0].index}, seed {task.seed}"
    first = task[0]
    return f"judge: {len(task)} pictures from {first.method}, layout {first.entry.index}, seed {first.seed}"


def _bar(what: str, total: int) -> Any:
    return tqdm(total=total, desc=what, unit="image", smoothing=0.05)
