"""The figures of a page: which values stand in its tables and charts, and their geometry, which the template draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan

import numpy as np
import pandas as pd

from bench.cocomig.colour import HSV_RANGES
from bench.cocomig.finding import UNNAMED
from bench.cocomig.metrics import AVERAGE, JOINT, METRICS, Estimate, averages, estimates, image_sums
from bench.report.contrasts import SHOWN, SIMULTANEOUS, contrasts, differences
from bench.report.joint import JUDGED
from bench.report.measured import styles
from bench.report.tables import BY_LEVEL, levels_of
from bench.report.text import bounds_text, interval_text

SIZE_EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
"""Shares of the picture; those of :data:`bench.cocomig.metrics.SIZES` are among them."""
BY_SIZE = ("isr", "place")
SPLIT = {"right": "isr", "wrong_colour": "wrong_colour", "wrong_place": "wrong_place", "nothing": "nothing_detected"}
"""What becomes of an instance → the metric that says how often."""
WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 10, 30
SPREAD = 0.6
"""Of the distance between two places of the axis, what the methods' marks of one place take."""


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


def fates(metrics: pd.DataFrame, methods: Sequence[str]) -> dict[str, tuple[Bar, ...]]:
    """What became of the instances of every method that has verdicts: parts of 100."""
    average = averages(metrics)
    there = [name for name in methods if name in average]
    return {name: stacked([(kind, average[name][metric]) for kind, metric in SPLIT.items()]) for name in there}


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


@dataclass(frozen=True)
class Mark:
    """A value: its place in the drawing, the ends of its interval (None without one), and what it says."""

    x: float
    y: float
    low: float | None
    high: float | None
    says: str


@dataclass(frozen=True)
class Series:
    """A method's values. style: index of its colour and shape, None of the ceiling. line: points of a polyline."""

    style: int | None
    marks: tuple[Mark, ...]
    line: str


@dataclass(frozen=True)
class Tick:
    """A place of an axis and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Values over places; says: the whole in words, for who does not see it."""

    title: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    series: tuple[Series, ...]
    says: str
    width: int = WIDTH
    height: int = HEIGHT


def over_places(
    title: str,
    places: Sequence[str],
    values: Mapping[str, Mapping[str, Estimate]],
    styles: Mapping[str, int | None],
    apart: str | None = None,
) -> Chart:
    """A line a method over ``places``, fractions up to a round number above all intervals.

    values: method → place → its value; a place without one has no mark. styles: by method, in order. apart: a place
    that is none of the axis (an average), and is not joined with the others.
    """
    known = [one for own in values.values() for one in own.values() if not isnan(one.value)]
    top = _round_up(max((one.value if isnan(one.high) else one.high for one in known), default=1.0))
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = width / len(places)

    def up(value: float) -> float:
        return round(TOP + height * (1 - value / top), 1)

    series = []
    for k, (method, style) in enumerate(styles.items()):
        shift = SPREAD * step * ((k + 0.5) / len(styles) - 0.5)
        marks = {
            place: _mark(round(LEFT + step * (at + 0.5) + shift, 1), one, up, f"{method}, {place}")
            for at, place in enumerate(places)
            if (one := values.get(method, {}).get(place)) is not None and not isnan(one.value)
        }
        line = " ".join(f"{mark.x},{mark.y}" for place, mark in marks.items() if place != apart)
        series.append(Series(style, tuple(marks.values()), line))
    ticks = tuple(Tick(up(top * k / 4), f"{100 * top * k / 4:.3g}") for k in range(5))
    across = tuple(Tick(round(LEFT + step * (k + 0.5), 1), place) for k, place in enumerate(places))
    says = "; ".join(mark.says for one in series for mark in one.marks)
    return Chart(title, across, ticks, tuple(series), says)


@dataclass(frozen=True)
class Bar:
    """A part of a stacked bar. kind: names its colour and letter."""

    kind: str
    x: float
    width: float
    share: float


def stacked(shares: Sequence[tuple[str, float]]) -> tuple[Bar, ...]:
    """(kind, share) one after the other; shares that are not known take no room."""
    bars, x = [], 0.0
    for kind, share in shares:
        part = 0.0 if isnan(share) else share * 100.0
        bars.append(Bar(kind, round(x, 2), round(part, 2), share))
        x += part
    return tuple(bars)


@dataclass(frozen=True)
class Row:
    """A difference of two methods on a line around 0, and the ends of its interval. sure: that leaves 0 out."""

    name: str
    text: str
    at: float
    low: float | None
    high: float | None
    sure: bool

    @property
    def says(self) -> str:
        """In words, for who does not see it."""
        return f"{self.name}: {self.text}"


@dataclass(frozen=True)
class Forest:
    """Differences of one metric, a line each."""

    title: str
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    zero: float
    width: int = 300


def forest(title: str, rows: Sequence[tuple[str, Estimate, str]]) -> Forest:
    """rows: (name, difference as a fraction with its bounds, how it is written)."""
    ends = [abs(end) for _, one, _ in rows for end in one if not isnan(end)]
    reach = _round_up(max(ends, default=0.1))

    def across(value: float) -> float:
        return round(Forest.width * (0.5 + 0.46 * value / reach), 1)

    def row(name: str, one: Estimate, text: str) -> Row:
        if isnan(one.low):
            return Row(name, text, across(one.value), None, None, False)
        return Row(name, text, across(one.value), across(one.low), across(one.high), not one.low <= 0 <= one.high)

    ticks = tuple(Tick(across(reach * part), f"{100 * reach * part:+.3g}" if part else "0") for part in (-1, 0, 1))
    return Forest(title, tuple(row(*one) for one in rows if not isnan(one[1].value)), ticks, across(0.0))


def _mark(x: float, one: Estimate, up: Callable[[float], float], name: str) -> Mark:
    low, high = (None, None) if isnan(one.low) else (up(one.low), up(one.high))
    return Mark(x, up(one.value), low, high, f"{name}: {100 * one.value:.1f} ({interval_text(one.low, one.high)})")


def _round_up(value: float) -> float:
    """The next of 0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8, 1: four parts of each are round per cents."""
    return next((top for top in (0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8) if value <= top), 1.0)
