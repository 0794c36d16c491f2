"""Colour asked for against colour found, a square a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from amdm.errors import InputError
from bench.report import palette
from bench.report.html.figures import Confusion, confusions
from bench.report.html.together import Together
from bench.report.plots.canvas import paper_style, sheet, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
DARK = 0.85
"""Share from which on a cell's text is white, which has more contrast than black has from there on."""


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
        columns = min(COLUMNS, len(found))
        size = 0.9 + 0.33 * len(found[0].found), 0.9 + 0.27 * len(found[0].asked)
        figure, axes = sheet(-(-len(found) // columns), columns, size)
        for ax, one in zip(axes, found, strict=False):
            _draw(ax, one, shades)
        for ax in axes[len(found) :]:
            ax.remove()
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
