"""A run folder, read once for all that is written of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from amdm.errors import InputError
from bench.cocomig.joint import ConditionTables
from bench.cocomig.metrics import image_sums, metrics_of
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


@dataclass(frozen=True)
class Measured:
    """The records of a run.

    settings: as run.json has them. entries: its layouts; asked: what they hold (:func:`bench.job.conditions.asked_of`).
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
            layout_set.entries,
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
    def table1(self) -> pd.DataFrame:
        """By method: :func:`bench.report.tables.table1`."""
        return table1(self.metrics, self.samples, self.info)


def _table_info(recorded: RunInfo, layout_set: LayoutSet, full_size: FullSize) -> TableInfo:
    """What tables say of a run."""
    job = recorded.job
    part = "" if job.shard is None else ", shard {} of {}".format(*job.shard)
    return TableInfo.of(
        layout_set,
        title=f"Table 1{' (mini world)' if layout_set.vocabulary == MINI else ''}: {layout_set.name}{part}",
        judge=", ".join([recorded.settings.judges, *full_size.judges]),
        methods=job.methods,
        seeds=job.seeds,
        command=recorded.command,
        forced=tuple(map(str, recorded.progress.forced)),
        notes=(*layout_set.judging_notes, *full_size.notes),
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
