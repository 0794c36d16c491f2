"""What a page shows: one run, or several on the same layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from amdm.errors import InputError, unknown
from bench.cocomig.joint import ConditionTables
from bench.job.batches import CEILING
from bench.report.html.figures import styles
from bench.report.measured import Measured

Table = Literal["verdicts", "samples", "findings", "sums", "metrics", "table1"]


@dataclass(frozen=True)
class Together:
    """Runs on one page or in one figure.

    methods: those that are shown, as they are called there. styles: of every method of the runs, whichever are shown
    (:func:`bench.report.html.figures.styles`).
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
        there = {"interactions": [run.conditions.interactions for run in self.runs]}
        there["styles"] = [run.conditions.styles for run in self.runs]
        return frozenset(kind for kind, tables in there.items() if not all(table.empty for table in tables))

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
    if len({run.name for run in runs}) < len(runs):
        raise InputError("two runs have one name", field="run")
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
