"""Hand-over curves from the table that ``amdm-bench hand-over`` writes."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd

from amdm.errors import Faults, InputError
from amdm.io.files import read_text
from bench.cocomig.metrics import METRICS, Estimate
from bench.report.joint import SHOWN
from bench.report.plots.canvas import shown
from bench.report.plots.charts import Curve, Panel

LARGEST_TABLE = 2**20
"""Bytes; two auxiliaries and eleven numbers of steps take 4,000."""


def hand_over_panels(path: Path) -> list[Panel]:
    """A panel for each auxiliary and target: every property over the number of steps that the auxiliary draws.

    Raises:
        InputError: the file is no such table; each cell that is not a share is named by its line and column.
    """
    table = _read(path)
    names = [name for name in SHOWN if name in table]
    panels = []
    for (auxiliary, target), own in table.groupby(["auxiliary", "target"], sort=False):
        rows = own.sort_values("k").to_dict("records")
        curves = tuple(
            Curve(
                METRICS[name].label,
                names.index(name),
                {str(row["k"]): Estimate.of_row(row, name) for row in rows},
            )
            for name in names
        )
        title = f"{shown(str(auxiliary))} for k steps, then {shown(str(target))}"
        panels.append(Panel(title, "k", tuple(str(row["k"]) for row in rows), curves))
    return panels


def _read(path: Path) -> pd.DataFrame:
    """The table, its numbers checked."""
    try:
        table = pd.read_csv(StringIO(read_text(path, LARGEST_TABLE)), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"is no CSV: {str(error).strip()}", file=path) from None
    shares = [f"{name}{end}" for name in SHOWN if name in table for end in ("", "_low", "_high")]
    for name in ("auxiliary", "target", "k", *shares):
        if name not in table:
            raise InputError("is missing: this is no table of `amdm-bench hand-over`", file=path, field=name)
    if not shares or table.empty:
        raise InputError("holds no measured property", file=path)
    faults, seen = Faults(), set[tuple[str, str, int]]()
    for number, row in enumerate(table.to_dict("records"), 2):
        with faults.at(f"line {number}.k"):
            if not (row["k"].isascii() and row["k"].isdigit() and len(row["k"]) < 6):
                raise InputError(f"{row['k'][:40]!r} is not a number of steps", file=path)
            place = row["auxiliary"], row["target"], int(row["k"])
            if place in seen:
                raise InputError(f"{place[2]} stands twice for this auxiliary and target", file=path)
            seen.add(place)
        for name in shares:
            with faults.at(f"line {number}.{name}"):
                _check_share(row[name], path)
    faults.check()
    numbers = {name: [float(text) if text else float("nan") for text in table[name]] for name in shares}
    return table.assign(k=table.k.astype(int), **numbers)


def _check_share(text: str, path: Path) -> None:
    """Empty (nothing asked for, or one layout), or a number in [0, 1]."""
    try:
        good = text == "" or 0 <= float(text) <= 1
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{text[:40]!r} is not a share between 0 and 1", file=path)
