"""Figures that others published: never mixed with what is measured here."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from importlib.resources import as_file, files
from typing import Any

import pandas as pd

from bench.cocomig.metrics import METRICS, Estimate
from bench.report.columns import USUAL_COLUMNS
from bench.report.latex import Block, Column, Row, columns_of, latex_table
from bench.report.tables import BY_LEVEL, NAN

LEVELS = ("L2", "L3", "L4", "L5", "L6", "Avg")
AS_STATED = (
    "As their sources state them, some truncated, some of other seeds or another definition of mIoU: not measured "
    "here, and not to be ranked with the rows above. Mini-world rows have nothing to do with them."
)


def published() -> pd.DataFrame:
    """Published figures, per cent, in the form of Table 1, with the columns group, layouts and source."""
    with as_file(files("bench.data").joinpath("published.csv")) as path:
        table = pd.read_csv(path)
    shown = {f"{metric}_{level.lower()}": f"{METRICS[metric].label} {level}" for metric in BY_LEVEL for level in LEVELS}
    return table.rename(columns={**shown, "layout_set": "layouts", "seconds": "s/image"})


NOT_MEASURED = "As its authors published it; not measured here."
PAPER = "AMDM paper"
"""The group of published.csv that is the paper's own Table 1."""


def published_blocks() -> dict[str, Block]:
    """Every group's rows, by its name; without intervals, so that none is ranked."""
    blocks = {}
    for (group, layouts, source), rows in published().groupby(["group", "layouts", "source"], sort=False):
        values = [Row(str(row["method"]), _values(row), ranked=False) for row in rows.to_dict("records")]
        blocks[str(group)] = Block(f"{group}: {layouts} ({source})", tuple(values))
    return blocks


def paper_table1(columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """The paper's Table 1 as its authors published it, in LaTeX. Raises InputError for a column that it lacks."""
    return latex_table(columns_of(columns, LEVELS), [published_blocks()[PAPER]], [NOT_MEASURED])


def _values(row: Mapping[Hashable, Any]) -> dict[Column, Estimate]:
    cells = {
        Column(metric, level): Estimate(row[f"{METRICS[metric].label} {level}"], NAN, NAN)
        for metric in BY_LEVEL
        for level in LEVELS
    }
    return {**cells, Column("seconds"): Estimate(row["s/image"], NAN, NAN)}
