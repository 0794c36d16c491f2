"""Line charts and points with error bars: levels, sizes, hand-over, trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from amdm.errors import printable
from bench.cocomig.metrics import Estimate
from bench.report.plots.canvas import method_look, paper_style, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREAD = 0.5
"""Of the distance between two places of the axis, what the curves' marks of one place take."""
LEGEND_LINE = 0.16
"""Inches."""
MARKS = {"markersize": 4.0, "elinewidth": 0.9, "capsize": 2.0, "capthick": 0.9}


@dataclass(frozen=True)
class Curve:
    """Values (fractions, with their intervals) by place. style: see :func:`bench.report.plots.canvas.method_look`."""

    name: str
    style: int | None
    values: Mapping[str, Estimate]


@dataclass(frozen=True)
class Panel:
    """Curves over places, which stand at equal distances. apart: a place that is none of the axis (an average)."""

    title: str
    across: str
    places: tuple[str, ...]
    curves: tuple[Curve, ...]
    apart: str | None = None


@dataclass(frozen=True)
class Spot:
    """A method by two quantities. x, y: as drawn, per cent where they are shares; NaN bounds have no error bar."""

    name: str
    style: int | None
    x: Estimate
    y: Estimate


def draw_panels(panels: Sequence[Panel], columns: int = 2) -> Figure:
    """Panels side by side, per cent, one legend below. Raises InputError where matplotlib is absent."""
    with paper_style():
        columns = min(columns, len(panels))
        figure, axes = sheet(-(-len(panels) // columns), columns)
        for ax, panel in zip(axes, panels, strict=False):
            _draw_panel(ax, panel)
        for ax in axes[len(panels) :]:
            ax.remove()
        _legend(figure, axes[0])
        return figure


def _draw_panel(ax: Axes, panel: Panel) -> None:
    ax.set_title(printable(panel.title))
    ax.set_xlabel(printable(panel.across))
    ax.set_ylabel("per cent")
    ax.set_xticks(range(len(panel.places)), [printable(place) for place in panel.places])
    ax.grid(axis="y", linewidth=0.4, color="#d9dee3")
    for k, curve in enumerate(panel.curves):
        _draw_curve(ax, panel, curve, SPREAD * ((k + 0.5) / len(panel.curves) - 0.5))
    ax.set_ylim(bottom=0)
    if panel.apart in panel.places:
        ax.axvline(panel.places.index(panel.apart) - 0.5, color="#b0b7bf", linewidth=0.6)


def _draw_curve(ax: Axes, panel: Panel, curve: Curve, shift: float) -> None:
    """The curve as one series of marks with error bars; a line joins those of the axis."""
    known = [
        (at + shift, place, curve.values[place])
        for at, place in enumerate(panel.places)
        if place in curve.values and not isnan(curve.values[place].value)
    ]
    if not known:
        return
    look = method_look(curve.style)
    joined = [(at, 100 * one.value) for at, place, one in known if place != panel.apart]
    if joined:
        ax.plot(*zip(*joined, strict=True), color=look["color"], linestyle=look["linestyle"], linewidth=0.8, alpha=0.6)
    estimates = [one for _, _, one in known]
    ax.errorbar(
        [at for at, _, _ in known],
        [100 * one.value for one in estimates],
        yerr=_bars(estimates, 100),
        label=printable(curve.name),
        **{**MARKS, **look, "linestyle": "none"},
    )


def draw_spots(spots: Sequence[Spot], across: str, up: str) -> Figure:
    """One point a method, with the intervals of the quantities that have one; one legend below."""
    with paper_style():
        figure, (ax,) = sheet(1, 1, (4.2, 3.4))
        ax.set_xlabel(across)
        ax.set_ylabel(up)
        ax.grid(linewidth=0.4, color="#d9dee3")
        for spot in spots:
            ax.errorbar(
                [spot.x.value],
                [spot.y.value],
                xerr=_bars([spot.x], 1),
                yerr=_bars([spot.y], 1),
                label=printable(spot.name),
                **{**MARKS, **method_look(spot.style), "linestyle": "none"},
            )
        ax.margins(0.1)
        ax.set_xlim(0, 1.04 * ax.get_xlim()[1])  # of points that lie close together the margin is too narrow
        ax.set_ylim(bottom=0)
        _legend(figure, ax)
        return figure


def _bars(estimates: Sequence[Estimate], factor: float) -> list[list[float]] | None:
    """Lengths below and above each value; None where none has an interval, 0 where one has not."""
    if all(isnan(one.low) for one in estimates):
        return None
    lengths = [(0.0, 0.0) if isnan(one.low) else (one.value - one.low, one.high - one.value) for one in estimates]
    return [[factor * max(0.0, pair[end]) for pair in lengths] for end in (0, 1)]


def _legend(figure: Figure, ax: Axes) -> None:
    """Below all axes, as many columns as the longest name allows; for more lines than two the figure is higher."""
    handles, labels = ax.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    room = max(1, int(width / (0.5 + 0.055 * max(map(len, labels), default=1))))
    figure.set_size_inches(width, height + LEGEND_LINE * max(0, -(-len(labels) // room) - 2))
    figure.legend(handles, labels, loc="outside lower center", ncols=min(room, len(labels)) or 1, frameon=False)
