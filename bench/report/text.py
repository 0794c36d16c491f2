"""How tables and intervals are written: for readers, and as files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from amdm.errors import printable
from amdm.io.files import make_folder, write_atomic
from bench.cocomig.metrics import METRICS

NO_NUMBER = "–"
_FORMULA = re.compile(r"[=@\t]|[+-](?![0-9.]+$)")
_NAN_CELL = re.compile(r"(?<!\\)\|( +)nan( +)(?=\|)")


def as_markdown(table: pd.DataFrame, floats: str = ".2f") -> str:
    """Numbers as ``floats`` says, a dash where there is none. Texts stay as they are, also where they look like numbers
    (a method called ``1e3``); ``|`` and line ends in them, and in names of columns, do not break the table."""
    if table.empty:
        return ""
    formats = tuple(floats if pd.api.types.is_float_dtype(dtype) else "" for dtype in table.dtypes)
    table = table.rename(columns=_cell)
    for name in table.select_dtypes(include=["object", "string"]).columns:
        table[name] = [_cell(value) for value in table[name]]
    texts = [k for k, name in enumerate(table) if all(isinstance(value, str) for value in table[name])]
    text: str = table.to_markdown(index=False, floatfmt=formats, missingval=NO_NUMBER, disable_numparse=texts)
    return _NAN_CELL.sub(rf"|\1  {NO_NUMBER}\2", text)


def as_page(parts: Iterable[str]) -> str:
    """The parts of a page that say anything, a blank line between them; what a terminal would obey is written out."""
    return printable("\n\n".join(part for part in parts if part) + "\n", keep="\n")


def in_per_cent(fractions: Mapping[Any, Any] | pd.DataFrame, names: Iterable[str]) -> dict[str, Any]:
    """Of a row or a table the metrics that it has, by their labels."""
    return {METRICS[name].label: 100 * fractions[name] for name in names if name in fractions}


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


def bounds_texts(table: pd.DataFrame, *columns: str) -> list[str]:
    """:func:`bounds_text` of each row. columns: of the value, of its lower and of its upper bound."""
    return [bounds_text(*row) for row in table[list(columns)].itertuples(index=False)]


def interval_texts(low: Iterable[float], high: Iterable[float]) -> list[str]:
    """:func:`interval_text` of each pair of bounds."""
    return [interval_text(*both) for both in zip(low, high, strict=True)]


def with_intervals(table: pd.DataFrame, labels: Iterable[str]) -> pd.DataFrame:
    """A table of per cents, the columns ``<label> low`` and ``<label> high`` written as one, ``<label> 95 %``."""
    shown = table.copy()
    for label in labels:
        low, high = (shown.pop(f"{label} {end}") / 100 for end in ("low", "high"))
        shown[f"{label} 95 %"] = interval_texts(low, high)
    return shown


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


class Written(NamedTuple):
    """page: Markdown. tables: for programs, by name; shares are fractions."""

    page: str
    tables: dict[str, pd.DataFrame]


def as_csv(table: pd.DataFrame, decimals: int = 6) -> bytes:
    """For a file. Names come from layout files and from runs of others: a text that a spreadsheet would take for a
    formula has an apostrophe in front, which makes it a text there."""
    shown = table.copy()
    for name in table.select_dtypes(include=["object", "string"]).columns:
        shown[name] = table[name].map(_marked, na_action="ignore")
    return shown.to_csv(index=False, float_format=f"%.{decimals}f").encode()


def _marked(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def write_table(path: Path, table: pd.DataFrame, decimals: int = 6) -> None:
    """Write a table as CSV; the folder is made where it is not there."""
    make_folder(path.parent)
    write_atomic(path, as_csv(table, decimals))


def write_study(folder: Path, name: str, page: str, tables: Mapping[str, pd.DataFrame]) -> Written:
    """``<name>.md``, and each table as CSV, numbers with six decimals; one without columns has no file."""
    make_folder(folder)
    for of, table in tables.items():
        path = folder / f"{of}.csv"
        if table.columns.empty:
            path.unlink(missing_ok=True)
        else:
            write_table(path, table)
    write_atomic(folder / f"{name}.md", page.encode())
    return Written(page, dict(tables))


def as_parquet(table: pd.DataFrame) -> bytes:
    """For a file."""
    content = BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


def write_parquet(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """``<name>.parquet`` of each."""
    for name, table in tables.items():
        write_atomic(folder / f"{name}.parquet", as_parquet(table))
