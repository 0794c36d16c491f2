"""What studies measured, as their reports read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from bench.cocomig.joint import ConditionTables
from bench.cocomig.metrics import AVERAGE, image_sums, metrics_of
from bench.run.schema import VERDICT_TABLES

SAMPLES = ("method", "layout_index", "seed", "status", "seconds", "evaluations", "pull_back", "pull_back_steps")
FEATURES = ("method", "layout_index", "seed", "features")
TABLES = {**VERDICT_TABLES, "samples": SAMPLES}
JUDGED = {"interactions": "interactions", "style": "styles"}
"""Condition, as of :data:`amdm.models.control.Conditioning` → table of its verdicts, and column of what is asked."""


def failed_markdown(failed: Mapping[str, float] | pd.Series, where: str = "") -> str:
    """Of which methods pictures failed, and how many; nothing where none did.

    Args:
        failed: by method. where: what was drawn, if a page has several such tables.

    >>> failed_markdown({"a": 0, "b": 3}, "the probes")
    '- **b: 3 pictures of the probes are not finite and are not counted.**'
    """
    of, lines = f" of {where}" if where else "", []
    for name, count in failed.items():
        pictures, are = ("picture", "is") if count == 1 else ("pictures", "are")
        if count > 0:
            lines.append(f"- **{name}: {int(count)} {pictures}{of} {are} not finite and {are} not counted.**")
    return "\n".join(lines)


@dataclass(frozen=True)
class Tables:
    """As of a run folder (:mod:`bench.run.schema`); samples have the columns :data:`SAMPLES`.

    pull_back_steps: JSON; by step, by model, "distance_to_mean" and "eta" (:mod:`bench.generators.pull_back`).
    asked: of :func:`bench.job.conditions.judged_conditions`. features: of the pictures, where a study was asked for
    them, as :func:`bench.report.kid.as_texts` writes them.
    """

    verdicts: pd.DataFrame
    interactions: pd.DataFrame
    styles: pd.DataFrame
    samples: pd.DataFrame
    asked: pd.DataFrame
    features: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FEATURES)))

    @property
    def failed(self) -> dict[str, int]:
        """Pictures that are not finite, by method."""
        own = self.samples[self.samples.status == "failed"]
        return {str(name): len(rows) for name, rows in own.groupby("method", sort=False)}

    @property
    def conditions(self) -> ConditionTables:
        """Verdicts on interactions and styles."""
        return ConditionTables(self.interactions, self.styles, self.asked)

    def without(self, conditions: Collection[str]) -> Tables:
        """With none of the verdicts on some conditions ("interactions", "style"), as if layouts did not ask for them:
        what no model reads is right by chance, and would decide what is right together."""
        dropped = {table for condition, table in JUDGED.items() if condition in conditions}
        empty: dict[str, pd.DataFrame] = {table: getattr(self, table).head(0) for table in dropped}
        return replace(self, **empty, asked=self.asked.assign(**dict.fromkeys(dropped, 0)))

    @cached_property
    def sums(self) -> pd.DataFrame:
        """Of each picture: :func:`bench.cocomig.metrics.image_sums`; without a single one, no row."""
        if self.verdicts.empty:
            return pd.DataFrame(columns=["method"])
        return image_sums(self.verdicts, conditions=self.conditions)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """By method and level: :func:`bench.cocomig.metrics.metric_table`."""
        return metrics_of(self.sums) if len(self.sums) else pd.DataFrame(columns=["method", "level"])

    @property
    def over_levels(self) -> pd.DataFrame:
        """Metrics over all levels, by method (the index)."""
        return self.metrics[self.metrics.level == AVERAGE].set_index("method").drop(columns="level")
