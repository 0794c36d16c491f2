"""What studies measured, as their reports read it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from bench.cocomig.joint import ConditionTables
from bench.run.schema import VERDICT_TABLES

SAMPLES = ("method", "layout_index", "seed", "status", "seconds", "evaluations", "pull_back", "pull_back_steps")
TABLES = {**VERDICT_TABLES, "samples": SAMPLES}


class Tables(NamedTuple):
    """As of a run folder (:mod:`bench.run.schema`); samples have the columns :data:`SAMPLES`.

    pull_back_steps: JSON; by step, by model, "distance_to_mean" and "eta" (:mod:`bench.pull_back`).
    asked: of :func:`bench.conditions.judged_conditions`.
    """

    verdicts: pd.DataFrame
    interactions: pd.DataFrame
    styles: pd.DataFrame
    samples: pd.DataFrame
    asked: pd.DataFrame

    @property
    def conditions(self) -> ConditionTables:
        """Verdicts on interactions and styles."""
        return ConditionTables(self.interactions, self.styles, self.asked)
