"""The figures of a page: which values stand in its tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from bench.cocomig.colour import HSV_RANGES
from bench.cocomig.finding import UNNAMED
from bench.cocomig.metrics import AVERAGE, JOINT, METRICS, Estimate, averages, estimates, image_sums
from bench.job.batches import CEILING
from bench.report.contrasts import SHOWN, SIMULTANEOUS, contrasts, differences
from bench.report.html.charts import Bar, Chart, Forest, forest, over_places, stacked
from bench.report.joint import JUDGED
from bench.report.tables import BY_LEVEL, levels_of
from bench.report.text import bounds_text

SIZE_EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
"""Shares of the picture; those of :data:`bench.cocomig.metrics.SIZES` are among them."""
BY_SIZE = ("isr", "place")
SPLIT = {"right": "isr", "wrong_colour": "wrong_colour", "wrong_place": "wrong_place", "nothing": "nothing_detected"}
"""What becomes of an instance → the metric that says how often."""


def styles(methods: Sequence[str]) -> dict[str, int | None]:
    """Colour and shape of each method; the ceiling has none of its own."""
    return {name: None if name == CEILING else k for k, name in enumerate(methods)}


def shown_metrics(metrics: pd.DataFrame) -> list[str]:
    """The metrics that some method has."""
    return [name for name in METRICS if name in metrics and metrics[name].notna().any()]


def joint_metrics(metrics: pd.DataFrame) -> list[str]:
    """Place and colour, then those of actions and styles, and what is right together; none where none is judged."""
    joint = [name for name in shown_metrics(metrics) if name in JOINT]
    return ["place", "colour_given_place", *joint] if joint else []


def by_level(metrics: pd.DataFrame, methods: Sequence[str]) -> list[tuple[bool, Chart]]:
    """(whether it is one of the page's tables, chart) of each metric, the tables' first."""
    first = (*BY_LEVEL, *JOINT)
    names = sorted(shown_metrics(metrics), key=lambda name: name not in first)

    def chart(metric: str) -> Chart:
        values = level_values(metrics, metric)
        return over_places(METRICS[metric].label, levels_of(metrics.level), values, styles(methods), AVERAGE)

    return [(name in first, chart(name)) for name in names]


def level_values(metrics: pd.DataFrame, metric: str) -> dict[str, dict[str, Estimate]]:
    """Method → level → the metric, with its interval."""
    values: dict[str, dict[str, Estimate]] = {}
    for row in metrics.to_dict("records"):
        values.setdefault(row["method"], {})[row["level"]] = Estimate.of_row(row, metric)
    return values


def by_size(verdicts: pd.DataFrame, methods: Sequence[str]) -> list[Chart]:
    """Success by the share of the picture that an instance's box takes, with 95 % intervals over layouts."""
    there, found = size_values(verdicts)
    return [
        over_places(
            METRICS[metric].label,
            there,
            {method: {size: one[metric] for size, one in own.items()} for method, own in found.items()},
            styles(methods),
        )
        for metric in BY_SIZE
    ]


def size_values(verdicts: pd.DataFrame) -> tuple[list[str], dict[str, dict[str, dict[str, Estimate]]]]:
    """The sizes (:data:`SIZE_EDGES`) that occur, small ones first, and method → size → metric → value."""
    names = [f"{100 * low:g}–{100 * high:g} %" for low, high in pairwise(SIZE_EDGES)]
    sized = verdicts.assign(size=pd.cut(verdicts.box_area, [*SIZE_EDGES[:-1], np.inf], right=False, labels=names))
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    groups = image_sums(sized, ("size",)).groupby(["method", "size"], observed=True)
    for (method, size), part in groups:
        found.setdefault(str(method), {})[str(size)] = estimates(part)
    return [name for name in names if any(name in own for own in found.values())], found


@dataclass(frozen=True)
class Fate:
    """What became of a method's instances: parts of 100."""

    method: str
    bars: tuple[Bar, ...]


def fates(metrics: pd.DataFrame, methods: Sequence[str]) -> list[Fate]:
    """Of every method that has verdicts."""
    average = averages(metrics)
    return [
        Fate(name, stacked([(kind, average[name][metric]) for kind, metric in SPLIT.items()]))
        for name in methods
        if name in average
    ]


@dataclass(frozen=True)
class Confusion:
    """Instances in their place by the colour asked for (rows) and found (columns); the diagonal is right.

    shares: of its row.
    """

    method: str
    asked: tuple[str, ...]
    found: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """Fractions of each row's sum, 0 in a row without any."""
        return tuple(tuple(count / max(1, sum(row)) for count in row) for row in self.counts)

    @property
    def says(self) -> str:
        """In words, for who does not see it."""
        lines = []
        for name, row in zip(self.asked, self.counts, strict=True):
            there = [f"{other} {count}" for other, count in zip(self.found, row, strict=True) if count]
            lines.append(f"{name}, found {', '.join(there) or 'never in its place'}")
        return "; ".join(lines)


def confusions(verdicts: pd.DataFrame, findings: pd.DataFrame, methods: Sequence[str]) -> list[Confusion]:
    """Of every method with findings; runs of before they were recorded have none."""
    keys = ["method", "layout_index", "seed", "instance"]
    both = verdicts[verdicts.success.astype(bool)].merge(findings, on=keys)
    both = both[both.found_colour.isin([*HSV_RANGES, UNNAMED])]
    asked = tuple(name for name in HSV_RANGES if (both.colour == name).any())
    found = (*(name for name in HSV_RANGES if name in asked or (both.found_colour == name).any()), UNNAMED)
    result = []
    for method in methods:
        own = both[both.method == method]
        if len(own):
            table = pd.crosstab(own.colour, own.found_colour).reindex(index=asked, columns=found, fill_value=0)
            counts = tuple(tuple(int(count) for count in row) for row in table.to_numpy())
            result.append(Confusion(method, asked, found, counts))
    return result


def paired_forests(sums: pd.DataFrame, methods: Sequence[str]) -> tuple[list[Forest], int]:
    """Differences of methods on the same layouts, one metric a chart, and how many comparisons hold at once.

    Of two methods the one difference, with its own interval; of more every pair, with simultaneous intervals.
    sums: of :func:`bench.cocomig.metrics.image_sums`.
    """
    compared = [*SHOWN, *(name for name in JUDGED if METRICS[name].numerator in sums)]
    table, prefix, other = contrasts(sums, methods, compared), f"{SIMULTANEOUS}_", "other"
    if table.empty:
        table, prefix, other = differences(sums, methods) if len(methods) > 1 else table, "", "target"
    if table.empty:
        return [], 0
    charts = []
    for metric in compared:
        rows = []
        for row in table.to_dict("records"):
            one = Estimate.of_row(row, metric, prefix)
            rows.append((f"{row['method']} − {row[other]}", one, bounds_text(*one)))
        charts.append(forest(METRICS[metric].label, rows))
    return [one for one in charts if one.rows], len(table)
