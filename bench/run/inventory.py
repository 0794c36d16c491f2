"""What a run holds of what it should hold: the one place that is asked what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bench.run.schema import SAMPLE_KEY

SampleKey = tuple[str, int, int]
"""(method, layout index, seed)."""


@dataclass(frozen=True)
class Inventory:
    """Samples of a run, by what became of them.

    wanted: the samples that are expected, with the number of verdicts of each. complete: samples whose picture was
    recorded (from a run folder that is being written: and lies there unchanged). failed: samples that were given up.
    verdicts: how many a sample has: on instances, interactions and style.
    """

    wanted: Mapping[SampleKey, int]
    complete: frozenset[SampleKey]
    failed: frozenset[SampleKey]
    verdicts: Mapping[SampleKey, int]

    @classmethod
    def of_tables(cls, wanted: Mapping[SampleKey, int], samples: pd.DataFrame, *verdicts: pd.DataFrame) -> Inventory:
        """From the tables of a run folder (:func:`bench.run.read.read_table`)."""
        ok = samples["status"] == "ok"
        rows = (table[list(SAMPLE_KEY)].itertuples(index=False, name=None) for table in verdicts)
        counts = Counter(key for own in rows for key in own)
        return cls(wanted, sample_keys(samples[ok]), sample_keys(samples[~ok]), counts)

    @cached_property
    def expected(self) -> frozenset[SampleKey]:
        """What was asked for."""
        return frozenset(self.wanted)

    @cached_property
    def judged(self) -> frozenset[SampleKey]:
        """Complete samples with every verdict."""
        return frozenset(key for key in self.complete & self.expected if self.verdicts.get(key) == self.wanted[key])

    @property
    def missing(self) -> frozenset[SampleKey]:
        """Expected, and nothing recorded of it."""
        return self.expected - self.complete - self.failed

    @property
    def unasked(self) -> frozenset[SampleKey]:
        """Recorded, and not expected."""
        return (self.complete | self.failed) - self.expected

    @property
    def unjudged(self) -> frozenset[SampleKey]:
        """Expected, and not judged: missing, failed, or without some verdict."""
        return self.expected - self.judged

    @property
    def gaps(self) -> frozenset[SampleKey]:
        """Expected, neither judged nor given up."""
        return self.unjudged - self.failed

    @property
    def orphans(self) -> frozenset[SampleKey]:
        """Verdicts on samples that are not there."""
        return frozenset(self.verdicts) - self.complete

    @property
    def miscounted(self) -> frozenset[SampleKey]:
        """Complete samples with too few or too many verdicts."""
        return frozenset(self.verdicts) & self.complete & self.expected - self.judged


def sample_keys(table: pd.DataFrame) -> frozenset[SampleKey]:
    """The samples that the rows of a table speak of."""
    return frozenset(table[list(SAMPLE_KEY)].itertuples(index=False, name=None))
