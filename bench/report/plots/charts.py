"""Figures for papers: matplotlib, loaded when one is drawn; line charts, points with error bars, squares of colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from amdm.errors import InputError, printable, unknown
from amdm.io.files import write_atomic
from bench.cocomig.metrics import Estimate
from bench.report import palette
from bench.report.html.figures import Confusion, confusions
from bench.report.measured import Together
from bench.report.names import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FORMATS = ("png", "svg", "pdf")
MARKERS = "os^DvPX"
"""Of the methods in turn, the shapes that the page draws (``templates/charts.html``)."""
PANEL = 3.2, 2.5
"""Inches, width and height of one chart."""
DPI = 200
_STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "legend.fontsize": 7.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.parse_math": False,  # names come from files: a dollar is a dollar
    "pdf.fonttype": 42,  # publishers refuse Type 3
    "svg.hashsalt": "amdm",  # the same figure is the same bytes
}
SPREAD = 0.5
"""Of the distance between two places of the axis, what the curves' marks of one place take."""
LEGEND_LINE = 0.16
"""Inches."""
MARKS = {"markersize": 4.0, "elinewidth": 0.9, "capsize": 2.0, "capthick": 0.9}
COLUMNS = 3
DARK = 0.85
"""Share from which on a cell's text is white, which has more contrast than black has from there on."""


def check_target(path: Path) -> Path:
    """Raise InputError where no figure can be written there; better before it is drawn than after."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise unknown("form of a figure", path.suffix, [f".{one}" for one in FORMATS], file=path, field="out")
    if not path.parent.is_dir():
        raise InputError("is not a folder", file=path.parent, field="out")
    return path


@contextmanager
def paper_style() -> Iterator[None]:
    """Inside, matplotlib draws as for a paper. Raises InputError where it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise InputError("figures need matplotlib: pip install 'amdm[plot]'", field="plot") from None
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
        yield


def sheet(count: int, most: int, size: tuple[float, float] = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` axes, at most ``most`` in a row, ``size`` inches each."""
    from matplotlib.figure import Figure

    columns = min(most, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[count:]:
        ax.remove()
    return figure, axes[:count]


def save(figure: Figure, path: Path) -> None:
    """As the name's ending says; the same figure has the same bytes each time."""
    file, kind = BytesIO(), path.suffix.lower().removeprefix(".")
    stamps: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    with paper_style():
        figure.savefig(file, format=kind, dpi=DPI, metadata=stamps[kind])
    write_atomic(path, file.getvalue())


def method_look(style: int | None) -> dict[str, Any]:
    """Colour and marker of a method by its place (:func:`bench.report.html.figures.styles`); None is the ceiling."""
    if style is None:
        return {"color": palette.CEILING, "marker": "_", "linestyle": "--"}
    colour, shape, hollow = palette.mark_of(style)
    face = {"markerfacecolor": "white"} if hollow else {}
    return {"color": palette.METHODS[colour], "marker": MARKERS[shape], "linestyle": "-", **face}


def shown(method: str) -> str:
    """A method's name for readers, without what a drawing would obey."""
    return printable(display_name(method))


@dataclass(frozen=True)
class Curve:
    """Values (fractions, with their intervals) by place. style: see :func:`bench.report.plots.charts.method_look`."""

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


def draw_panels(panels: Sequence[Panel]) -> Figure:
    """Panels side by side, per cent, one legend below. Raises InputError where matplotlib is absent."""
    with paper_style():
        figure, axes = sheet(len(panels), 2)
        for ax, panel in zip(axes, panels, strict=True):
            _draw_panel(ax, panel)
        _legend(figure, axes)
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
        _legend(figure, [ax])
        return figure


def _bars(estimates: Sequence[Estimate], factor: float) -> list[list[float]] | None:
    """Lengths below and above each value; None where none has an interval, 0 where one has not."""
    if all(isnan(one.low) for one in estimates):
        return None
    lengths = [(0.0, 0.0) if isnan(one.low) else (one.value - one.low, one.high - one.value) for one in estimates]
    return [[factor * max(0.0, pair[end]) for pair in lengths] for end in (0, 1)]


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """Of what any of the axes shows, below all, as many columns as the longest name allows; for more lines than two the
    figure is higher."""
    found: dict[str, Any] = {}
    for one in (one for ax in axes for one in ax.containers):
        found.setdefault(str(one.get_label()), one)
    labels, handles = list(found), list(found.values())
    width, height = figure.get_size_inches()
    room = max(1, int(width / (0.5 + 0.055 * max(map(len, labels), default=1))))
    figure.set_size_inches(width, height + LEGEND_LINE * max(0, -(-len(labels) // room) - 2))
    figure.legend(handles, labels, loc="outside lower center", ncols=min(room, len(labels)) or 1, frameon=False)


def colour_confusions(runs: Together) -> list[Confusion]:
    """Of each method with findings. Raises InputError where none has any."""
    found = confusions(runs.table("verdicts"), runs.table("findings"), runs.methods)
    if not found:
        what = "records no colours found, or none of its instances is in place; `amdm-bench score --again` records them"
        raise InputError(what, file=runs.runs[0].folder, field="findings")
    return found


def draw_heatmaps(found: Sequence[Confusion]) -> Figure:
    """Rows: asked for; columns: found; per cent of a row's instances in place, whose number stands at its end."""
    from matplotlib.colors import LinearSegmentedColormap

    with paper_style():
        shades = LinearSegmentedColormap.from_list("shares", ["#ffffff", palette.METHODS[0]])
        size = 0.9 + 0.33 * len(found[0].found), 0.9 + 0.27 * len(found[0].asked)
        figure, axes = sheet(len(found), COLUMNS, size)
        for ax, one in zip(axes, found, strict=True):
            _draw(ax, one, shades)
        return figure


def _draw(ax: Axes, one: Confusion, shades: str | object) -> None:
    shares = np.array(one.shares)
    ax.imshow(shares, cmap=shades, vmin=0, vmax=1, aspect="auto")  # type: ignore[arg-type]
    ax.set_title(shown(one.method))
    ax.set_xticks(range(len(one.found)), one.found, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(
        range(len(one.asked)), [f"{name} ({sum(row)})" for name, row in zip(one.asked, one.counts, strict=True)]
    )
    ax.set_xlabel("found, per cent of the row")
    ax.set_ylabel("asked for (in place)")
    ax.tick_params(length=0)
    for row, column in zip(*np.nonzero(shares), strict=True):
        share = shares[row, column]
        text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
        ax.text(column, row, text, ha="center", va="center", color="white" if share > DARK else "black", fontsize=7)
