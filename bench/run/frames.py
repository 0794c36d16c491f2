"""Answers of SQLite as data frames, a part at a time: a table of millions of rows is never held as Python's objects."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

ROWS = 2_000
"""Taken at a time: what a processor's cache holds is turned into columns faster than more would be."""
_TEXT = pd.StringDtype("pyarrow", na_value=np.nan)


def frame(answer: sqlite3.Cursor, columns: Sequence[str]) -> pd.DataFrame:
    """What a query of ``columns`` gives, as :func:`pandas.read_sql_query` would have it: int64, float64 where a number
    is a real or absent, str; object where every value is absent, or there are no rows."""
    parts: list[list[np.ndarray | pa.Array]] = [[] for _ in columns]
    while rows := answer.fetchmany(ROWS):
        for part, values in zip(parts, zip(*rows, strict=True), strict=True):
            part.append(_array(values))
    if not parts[0]:
        return pd.DataFrame(columns=list(columns))
    return pd.DataFrame({name: _joined(part) for name, part in zip(columns, parts, strict=True)})


def _array(values: tuple) -> np.ndarray | pa.Array:
    first = next((one for one in values if one is not None), None)
    if first is None:
        return np.array(values, object)
    if isinstance(first, str):
        return pa.array(values, pa.large_string())
    whole = isinstance(first, int) and None not in values
    return np.array(values, np.int64 if whole else np.float64)


def _joined(parts: Sequence[np.ndarray | pa.Array]) -> object:
    """One column of its parts, of which some may be without a value."""
    texts = [one for one in parts if isinstance(one, pa.Array)]
    if texts:
        chunks = [one if isinstance(one, pa.Array) else pa.nulls(len(one), pa.large_string()) for one in parts]
        return pd.array(pa.chunked_array(chunks), dtype=_TEXT)
    numbers = [one for one in parts if one.dtype != object]
    if not numbers:
        return np.concatenate(parts)
    return np.concatenate([one if one.dtype != object else one.astype(np.float64) for one in parts])
