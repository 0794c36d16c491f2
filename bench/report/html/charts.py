"""Charts as plain geometry, which the template draws: values with the bounds of their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from bench.cocomig.metrics import Estimate
from bench.report.text import interval_text

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 10, 30
SPREAD = 0.6
"""Of the distance between two places of the axis, what the methods' marks of one place take."""


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

    name: str
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
        series.append(Series(method, style, tuple(marks.values()), line))
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


def stacked(shares: Sequence[tuple[str, float]], width: float = 100.0) -> tuple[Bar, ...]:
    """(kind, share) one after the other; shares that are not known take no room."""
    bars, x = [], 0.0
    for kind, share in shares:
        part = 0.0 if isnan(share) else share * width
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
