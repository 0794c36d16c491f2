"""Run folders, read once for all that is written of them: one, or several on the same layouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd

from amdm.errors import InputError, unknown
from amdm.profiles import unshipped_weights
from bench.cocomig.joint import ConditionTables
from bench.cocomig.metrics import image_sums, metrics_of, over_seeds
from bench.job.batches import CEILING, dealt
from bench.job.conditions import asked_of, judged_conditions
from bench.job.plan import Plan
from bench.job.settings import RunSettings
from bench.layouts.layout_set import Entry, LayoutSet
from bench.layouts.vocabulary import MINI
from bench.report.full_size import FullSize, with_full_size
from bench.report.tables import TableInfo, table1
from bench.run.info import RunInfo, check_layouts
from bench.run.read import read_tables
from bench.run.schema import FULL_SIZE_OF

Table = Literal["verdicts", "samples", "findings", "sums", "metrics", "table1"]


@dataclass(frozen=True)
class Measured:
    """The records of a run.

    settings: as run.json has them. entries: its layouts, of a shard those that were dealt to it. asked: what the
    layouts hold (:func:`bench.job.conditions.asked_of`).
    verdicts, samples, findings: as :func:`bench.run.read.read_tables` gives them; methods are named as in ``info``.
    conditions: verdicts on interactions and styles, of the run's judges or of judges of full size.
    detector: its name here, None where this version has none of the run's.
    mini: it is of the mini world.
    """

    folder: Path
    settings: RunSettings
    info: TableInfo
    entries: tuple[Entry, ...]
    asked: tuple[str, ...]
    verdicts: pd.DataFrame
    samples: pd.DataFrame
    findings: pd.DataFrame
    conditions: ConditionTables
    detector: str | None
    mini: bool

    @classmethod
    def read(cls, folder: Path, plan: Plan | None = None) -> Measured:
        """Of a run folder. plan: the run's, if it is resolved.

        Raises:
            InputError: nothing is judged yet, or its layouts are not those of this installation.
        """
        recorded = RunInfo.read(folder)
        layout_set = (plan or Plan.resolve(recorded.job)).layout_set
        check_layouts(layout_set, recorded.settings, folder)
        names = ("verdicts", "samples", "findings", "interactions", "styles", *FULL_SIZE_OF.values())
        verdicts, samples, findings, interactions, styles, *later = read_tables(folder, *names)
        if verdicts.empty:
            raise InputError(_why_nothing(samples), file=folder)
        own = ConditionTables(interactions, styles, judged_conditions(layout_set.entries))
        full_size = with_full_size(own, later, recorded.progress.full_size, verdicts, layout_set)
        return cls(
            folder,
            recorded.settings,
            _table_info(recorded, layout_set, full_size),
            dealt(layout_set, recorded.job.batch, recorded.job.shard),
            asked_of(layout_set),
            verdicts,
            samples,
            findings,
            full_size.conditions,
            _detector(recorded),
            layout_set.vocabulary == MINI,
        )

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.resolve().name

    @cached_property
    def sums(self) -> pd.DataFrame:
        """Of each picture: :func:`bench.cocomig.metrics.image_sums`."""
        return image_sums(self.verdicts, conditions=self.conditions)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """By method and level: :func:`bench.cocomig.metrics.metric_table`."""
        return metrics_of(self.sums)

    @cached_property
    def by_seed(self) -> pd.DataFrame:
        """:func:`bench.cocomig.metrics.over_seeds` of the methods; empty where there is one seed."""
        drawn = self.sums[self.sums.method != CEILING]
        return over_seeds(drawn) if len(self.info.seeds) > 1 else pd.DataFrame()

    @cached_property
    def table1(self) -> pd.DataFrame:
        """By method: :func:`bench.report.tables.table1`."""
        return table1(self.metrics, self.samples, self.info)


def _table_info(recorded: RunInfo, layout_set: LayoutSet, full_size: FullSize) -> TableInfo:
    """What tables say of a run."""
    job = recorded.job
    weights = [] if job.generator else unshipped_weights(job.profile, recorded.settings.weights)
    part = "" if job.shard is None else ", shard {} of {}".format(*job.shard)
    return TableInfo.of(
        layout_set,
        count=len(dealt(layout_set, job.batch, job.shard)),
        title=f"Table 1{' (mini world)' if layout_set.vocabulary == MINI else ''}: {layout_set.name}{part}",
        judge=", ".join([recorded.settings.judges, *full_size.judges]),
        methods=job.methods,
        seeds=job.seeds,
        command=recorded.command,
        forced=tuple(map(str, recorded.progress.forced)),
        notes=(*layout_set.judging_notes, *full_size.notes, *weights),
        unjudged=full_size.unjudged,
    )


def _detector(recorded: RunInfo) -> str | None:
    try:
        return recorded.detector_name
    except InputError:  # of another version; its verdicts stand, its answers are not looked up
        return None


def _why_nothing(samples: pd.DataFrame) -> str:
    failed = samples[samples["status"] == "failed"]
    if len(failed):
        return f"all {len(failed)} samples failed, the first with {failed['error'].iloc[0]}"
    return "nothing is judged yet; the command that made the run goes on"


@dataclass(frozen=True)
class Together:
    """Runs on one page or in one figure.

    methods: those that are shown, as they are called there. styles: of every method of the runs, whichever are shown
    (:func:`styles`).
    """

    runs: tuple[Measured, ...]
    methods: tuple[str, ...]
    styles: Mapping[str, int | None]

    def table(self, name: Table) -> pd.DataFrame:
        """The rows of a table of all runs, by its name in :class:`bench.report.measured.Measured`."""
        return pd.concat([getattr(run, name) for run in self.runs], ignore_index=True)

    @property
    def judged_kinds(self) -> frozenset[str]:
        """What some run has verdicts on beside instances: interactions, styles."""
        kinds = ("interactions", "styles")
        return frozenset(kind for kind in kinds if any(len(getattr(run.conditions, kind)) for run in self.runs))

    @property
    def generated(self) -> tuple[str, ...]:
        """The methods without the ceiling."""
        return tuple(name for name in self.methods if name != CEILING)


def together(runs: Sequence[Measured], methods: Sequence[str] | None = None) -> Together:
    """Several runs as one: methods are called ``run: method`` then, and one ceiling stays.

    methods: those to show, in this order; by default all, the ceiling, if there is one, last.

    Raises:
        InputError: other layouts or another judge than the first run's, or two runs of one name; an unknown method.
    """
    first = runs[0]
    check_names(runs)
    for run in runs[1:]:
        for field in ("layout_hash", "judge"):
            if getattr(run.info, field) != getattr(first.info, field):
                what = f"is not that of {first.folder}; a page shows one (`amdm-bench table` has several tables)"
                raise InputError(what, file=run.folder, field=field)
    shown = [run if len(runs) == 1 else _renamed(run, ceiling=run is first) for run in runs]
    ceiling = [CEILING] if any((run.samples.method == CEILING).any() for run in shown) else []
    every = (*(method for run in shown for method in run.info.methods), *ceiling)
    for name in methods or ():
        if name not in every:
            raise unknown("method", name, every, field="methods")
    return Together(tuple(shown), tuple(methods or every), styles(every))


def check_names(runs: Sequence[Measured]) -> None:
    """Raise InputError where two runs have one name: their tables would lie in one folder, and rows have one label."""
    twice = [name for name, count in Counter(run.name for run in runs).items() if count > 1]
    if twice:
        places = [str(run.folder) for run in runs if run.name == twice[0]]
        raise InputError(f"two runs have one name, {twice[0]}: {' and '.join(places[:2])}", field="run")


def styles(methods: Sequence[str]) -> dict[str, int | None]:
    """Colour and shape of each method; the ceiling has none of its own."""
    return {name: None if name == CEILING else k for k, name in enumerate(methods)}


def _renamed(run: Measured, ceiling: bool) -> Measured:
    names = {method: f"{run.name}: {method}" for method in run.info.methods}

    def table(one: pd.DataFrame) -> pd.DataFrame:
        kept = one if ceiling else one[one.method != CEILING]
        return kept.assign(method=kept.method.map(lambda name: names.get(name, name)))

    interactions, styles, _ = run.conditions
    return replace(
        run,
        info=replace(run.info, methods=tuple(names.values())),
        verdicts=table(run.verdicts),
        samples=table(run.samples),
        findings=table(run.findings),
        conditions=ConditionTables(table(interactions), table(styles), run.conditions.asked),
    )
