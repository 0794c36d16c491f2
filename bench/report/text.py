"""How tables and intervals are written for readers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

NO_NUMBER = "–"


def as_markdown(table: pd.DataFrame, floats: str = ".2f") -> str:
    """Numbers as ``floats`` says, a dash where there is none; ``|`` and line ends in texts do not break the table."""
    if table.empty:
        return ""
    formats = tuple(floats if pd.api.types.is_float_dtype(dtype) else "" for dtype in table.dtypes)
    table = table.copy()
    for name in table.select_dtypes(include=["object", "string"]).columns:
        table[name] = [_cell(value) for value in table[name]]
    text: str = table.to_markdown(index=False, floatfmt=formats, missingval=NO_NUMBER)
    return text.replace(" nan ", f"   {NO_NUMBER} ")


def interval_text(low: float, high: float) -> str:
    """Two fractions as per cent; a dash where there is no interval.

    >>> interval_text(0.35, 0.385)
    '35.0–38.5'
    """
    return NO_NUMBER if math.isnan(low) else f"{100 * low:.1f}–{100 * high:.1f}"


def bounds_text(value: float, low: float, high: float) -> str:
    """A difference of fractions as points; it says so where there is no interval.

    >>> bounds_text(0.0125, -0.005, 0.03)
    '+1.25 [-0.50, +3.00]'
    """
    if math.isnan(value):
        return NO_NUMBER
    return f"{100 * value:+.2f} " + ("[no interval]" if math.isnan(low) else f"[{100 * low:+.2f}, {100 * high:+.2f}]")


def ranges_text(numbers: Iterable[int]) -> str:
    """Ascending integers as ranges.

    >>> ranges_text([0, 1, 2, 5, 7, 8])
    '0–2, 5, 7, 8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if not runs or number != runs[-1][-1] + 1:
            runs.append([])
        runs[-1].append(number)
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _cell(value: Any) -> Any:
    return " ".join(value.replace("|", "\\|").split()) if isinstance(value, str) else value
