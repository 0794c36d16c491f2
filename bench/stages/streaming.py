"""A run on a cluster: batches are judged while others are drawn; this process alone writes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from amdm.progress import Progress
from bench.detectors import load
from bench.detectors.cache import CACHE_FILE, CachedDetector, CarriedDetector
from bench.detectors.detector import Detector
from bench.detectors.registry import detector_spec
from bench.engines.cluster import Cluster
from bench.engines.pool import ATTEMPTS, Answer, Lost, Pool
from bench.generators.generator import Generator
from bench.io.remote import RemoteFolder
from bench.job.batches import Group
from bench.job.plan import Plan
from bench.job.spec import EXTERNAL
from bench.judges import conditions
from bench.judges.conditions import Judges
from bench.layouts.layout_set import Entry
from bench.run.inventory import SampleKey
from bench.run.mirror import mirror_of
from bench.run.store import RunStore
from bench.stages.generate import GroupResult, GroupWorker, SampleResult, record_group
from bench.stages.unjudged import Unjudged
from bench.stages.verdicts import BatchVerdicts, Picture, ScoringWorker, record_verdicts
from bench.workers.retries import show_events
from bench.workers.tracebacks import show_traceback

SEEN_SECONDS = 90.0
"""After which every machine sees a file: NFS keeps for 60 seconds at most that there was none."""


def stream(
    cluster: Cluster, store: RunStore, plan: Plan, work: Sequence[Group], source: Callable[[], Generator]
) -> None:
    """Generate what is missing of ``work`` and judge every picture of the run that has no verdicts, as
    :func:`bench.stages.generate.generate` and :func:`bench.stages.verdicts.score` do one after the other; the records
    are the same.
    """
    job = plan.job
    drawing = cluster.options(heavy=job.profile == "paper" or (job.profile == EXTERNAL and job.device != "cpu"))
    judging = cluster.options(heavy=detector_spec(plan.detector.name).heavy)
    source_of_judge = load.CachedSource(plan.detector, plan.facts, store.folder / CACHE_FILE)
    mirror = mirror_of(store.folder)
    away = None if mirror is None else (mirror.remote, mirror.folder.resolve())
    stream_pools(
        cluster,
        store,
        plan.layout_set.entries,
        work,
        Pool(GroupWorker, (source,), drawing),
        Pool(JudgeWorker, (source_of_judge.carried, conditions.load_judges, away), judging),
        source_of_judge(),
    )


class JudgedBatch(NamedTuple):
    """What a judge found, and its detector's answers for the cache."""

    verdicts: BatchVerdicts
    answers: dict[bytes, Any]


class JudgeWorker(ScoringWorker):
    """A judge that hands over its detector's answers, too.

    away: of a run in a remote folder, that and the working folder, which only the writer's machine has. Pictures are
    fetched for as long as they are judged.
    """

    def __init__(
        self,
        source: Callable[[], Detector],
        judges: Callable[[], Judges],
        away: tuple[RemoteFolder, Path] | None = None,
    ) -> None:
        super().__init__(source, judges)
        self._away = away

    def __call__(self, batch: Sequence[Picture]) -> JudgedBatch:  # type: ignore[override]
        with _at_hand(batch, self._away) as here:
            verdicts = super().__call__(here)
        return JudgedBatch(verdicts, self.detector.taken() if isinstance(self.detector, CarriedDetector) else {})


def stream_pools(
    cluster: Cluster,
    store: RunStore,
    entries: Sequence[Entry],
    work: Sequence[Group],
    drawing: Pool,
    judging: Pool,
    cache: CachedDetector | None = None,
) -> None:
    """:func:`stream` with pools that are made already. cache: takes the detector's answers."""
    whole = store.complete_samples()
    todo = [group for group in work if not whole.issuperset(group.samples())]
    unjudged = Unjudged(store, entries, whole, todo)
    drawing.add(todo)
    judging.add(unjudged.ready())
    if not (drawing.busy or judging.busy):
        return
    pictures = sum(len(group.entries) for group in todo)
    writer = _Writer(store, whole, unjudged, judging, cache)
    with ExitStack() as opened:
        writer.drawn = opened.enter_context(_bar("generate", pictures))
        to_judge = unjudged.awaited(todo) + sum(len(batch) for batch, _ in judging.waiting)
        writer.judged = opened.enter_context(_bar("judge", to_judge))
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
    cache: CachedDetector | None
    drawn: Any = None
    judged: Any = None
    last: str = ""

    def group(self, result: GroupResult) -> None:
        record_group(self.store, result, self.whole)
        self.drawn.update(len(result.outcomes))
        self.last = result.tracebacks[-1] if result.tracebacks else self.last
        self.judging.add(self.unjudged.after(result))

    def verdicts(self, result: JudgedBatch) -> None:
        if self.cache is not None:
            self.cache.put(result.answers)
        record_verdicts(self.store, result.verdicts)
        self.judged.update(result.verdicts.pictures)

    def tell(self, lost: Lost) -> None:
        event = f"{_named(lost.task)}: a worker was lost with it, time {lost.number} of {ATTEMPTS}"
        show_events([event])
        self.store.record(events=[event])


def lost_group(group: Group) -> GroupResult:
    """What became of samples whose worker died every time."""
    error = f"its worker died {ATTEMPTS} times (killed, or out of memory)"
    size = len(group.entries)
    return GroupResult(group, [SampleResult(one, None, error, ATTEMPTS, size, 0.0, {}) for one in group.entries], [])


def lost_batch(batch: Sequence[Picture]) -> JudgedBatch:
    """Pictures whose judge died every time have no verdicts."""
    return JudgedBatch(BatchVerdicts({}, len(batch), [], []), {})


@contextmanager
def _at_hand(batch: Sequence[Picture], away: tuple[RemoteFolder, Path] | None) -> Iterator[Sequence[Picture]]:
    """The pictures as files of this machine; where they were handed over to a remote folder, copies of those there."""
    if away is None:
        _await_files([one.path for one in batch])
        yield batch
        return
    remote, folder = away
    with tempfile.TemporaryDirectory(prefix="amdm-") as name:
        here = [replace(one, path=Path(name) / f"{k}.png") for k, one in enumerate(batch)]
        names = [one.path.relative_to(folder).as_posix() for one in batch]
        for _ in remote.fetch(zip(names, [one.path for one in here], strict=True)):
            pass
        yield here


def _await_files(paths: Sequence[Path]) -> None:
    """A network file system may say for a while that a file is not there which another machine has just written."""
    until = time.monotonic() + SEEN_SECONDS
    while not all(path.is_file() for path in paths) and time.monotonic() < until:
        time.sleep(0.2)


def _named(task: Any) -> str:
    if isinstance(task, Group):
        return f"{task.method}: {len(task.entries)} samples from {task.entries[0].index}, seed {task.seed}"
    first = task[0]
    return f"judge: {len(task)} pictures from {first.method}, layout {first.entry.index}, seed {first.seed}"


def _bar(what: str, total: int) -> Any:
    return Progress(total=total, desc=what, unit="image", smoothing=0.05)
