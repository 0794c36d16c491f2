"""Answers of SQLite as data frames: what pandas makes of them, in parts."""

from __future__ import annotations

import sqlite3
from typing import Any

import pandas as pd
import pytest

from bench.run import frames

COLUMNS = ["whole", "real", "gaps", "text", "some", "absent", "late"]
ROWS: list[tuple[Any, ...]] = [
    (1, 0.5, 3, "a", None, None, None),
    (2, 1.5, None, "ü", "x", None, None),
    (2**53 + 1, -2.0, 4, "", None, None, 7),
    (4, 0.0, 5, "d", "y", None, 8),
    (5, 0.25, None, "e", None, None, 9),
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:2], ROWS[:1], []])
@pytest.mark.parametrize("at_a_time", [1, 2, 100])
def test_frames_are_those_of_pandas(rows: list[tuple[Any, ...]], at_a_time: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(frames, "ROWS", at_a_time)
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE t ({', '.join(COLUMNS)})")
    database.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    expected = pd.read_sql_query("SELECT * FROM t", database)
    pd.testing.assert_frame_equal(frames.frame(database.execute("SELECT * FROM t"), COLUMNS), expected)
