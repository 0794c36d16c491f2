"""What all figures share: matplotlib, loaded when one is drawn, the style of a paper, and how files are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amdm.errors import InputError, printable, unknown
from amdm.io.files import write_whole
from bench.report import palette
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


def sheet(rows: int, columns: int, size: tuple[float, float] = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure of ``rows`` × ``columns`` axes, row by row, ``size`` inches each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def save(figure: Figure, path: Path) -> None:
    """As the name's ending says; the same figure has the same bytes each time."""
    file, kind = BytesIO(), path.suffix.lower().removeprefix(".")
    stamps: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    with paper_style():
        figure.savefig(file, format=kind, dpi=DPI, metadata=stamps[kind])
    write_whole(path, file.getvalue())


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
