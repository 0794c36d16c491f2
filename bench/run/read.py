"""Reading the records of a run folder, in read-only copies."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pandas as pd

from amdm.errors import InputError
from bench.io.sqlite_safety import check_untrusted_sqlite
from bench.run.frames import frame
from bench.run.schema import (
    BESIDE_SAMPLES,
    BUSY_SECONDS,
    DATABASE,
    KEY,
    KEY_BEFORE,
    KEY_COLUMNS,
    LATER_TABLES,
    MAX_DATABASE_BYTES,
    MAX_ROWS,
    SAMPLE_COLUMNS,
    SAMPLE_KEY,
    SCHEMA,
)

_ORDER = "method, seed, layout_index"
_TABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "samples": (SAMPLE_COLUMNS, f"samples LEFT JOIN details USING ({KEY_COLUMNS})", _ORDER),
    **{name: (columns, name, f"{_ORDER}, {columns[len(SAMPLE_KEY)]}") for name, columns in BESIDE_SAMPLES.items()},
    "events": (("at", "what"), "events", "rowid"),
}
"""Name → columns, what they are selected from, and their order: of a sample, by the column behind its key."""


def read_table(folder: Path, table: str) -> pd.DataFrame:
    """One of :func:`read_tables`."""
    return read_tables(folder, table)[0]


def read_tables(folder: Path, *tables: str) -> list[pd.DataFrame]:
    """Tables of a run by their names in :data:`_TABLES`, without its lock.

    All are of one state of the run, which may go on meanwhile.

    Raises:
        InputError: there is no such database, or it holds what a run's does not.
    """
    path = folder / DATABASE
    if not path.exists():
        raise InputError("is absent", file=path)
    check_untrusted_sqlite(path)
    if sum(one.stat().st_size for one in path.parent.glob(f"{DATABASE}*")) > MAX_DATABASE_BYTES:
        raise InputError(f"has more than {MAX_DATABASE_BYTES} bytes, with its journal", file=path)
    table = tables[0]
    try:
        with closing(sqlite3.connect(":memory:")) as copy:  # SQLite checks values only in what it may write
            _copy_database(path, copy)
            copy.executescript(LATER_TABLES)
            check_database(copy, path)
            found = []
            for table in tables:
                columns, source, order = _TABLES[table]
                if copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > MAX_ROWS:
                    raise InputError(f"has more than {MAX_ROWS:,} rows", file=path, field=table)
                answer = copy.execute(f"SELECT {', '.join(columns)} FROM {source} ORDER BY {order}")
                found.append(frame(answer, columns))
            return found
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        what = "is held by another process" if busy else "is not a run's database"
        raise InputError(what, file=path, field=table) from error


def _copy_database(path: Path, copy: sqlite3.Connection) -> None:
    """Read ``path`` into ``copy``, without the transaction that a killed process left half done, and write nothing."""
    try:
        source = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(source, BUSY_SECONDS, uri=True, isolation_level=None)) as stored:
            stored.execute("BEGIN")
            stored.execute("SELECT 1 FROM sqlite_master").fetchone()  # waits for a writer, which backup does for ever
            stored.backup(copy)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
            raise
        with tempfile.TemporaryDirectory(prefix="amdm-") as scratch:
            for name in (DATABASE, f"{DATABASE}-journal"):
                shutil.copyfile(path.with_name(name), Path(scratch) / name)
            with closing(sqlite3.connect(Path(scratch) / DATABASE)) as stored:  # takes it back
                stored.backup(copy)


def check_database(database: sqlite3.Connection, path: Path) -> None:
    """Tables as they are made here and nothing else (a view can run for ever), no damaged page, no value out of range.

    Raises:
        InputError: naming what is wrong.
    """
    query = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(SCHEMA)
        found = [(*one, sql and sql.replace(KEY_BEFORE, KEY)) for *one, sql in database.execute(query)]
        if found != fresh.execute(query).fetchall():
            raise InputError("is not a run's database: other tables, or views or triggers", file=path)
    found = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise InputError(f"is damaged: {found[0]}", file=path)
