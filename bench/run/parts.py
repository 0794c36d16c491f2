"""Records of a run as Parquet parts, which are written once and never changed.

A part has one row for each sample that it speaks of, and replaces all that earlier parts say of these samples: the
record, or none where the sample was dropped, and its verdicts. Parts in order make the database. What happened on the
way stands in the metadata of the part's schema, as JSON.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cache
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from amdm.errors import InputError
from bench.run.inventory import SampleKey
from bench.run.schema import (
    BESIDE_SAMPLES,
    DETAIL_COLUMNS,
    KEY_COLUMNS,
    OF_SAMPLE,
    RECORD_COLUMNS,
    SAMPLE_COLUMNS,
    SAMPLE_KEY,
    SCHEMA,
)

MAX_SAMPLES = 2000
"""Of a part."""
MAX_PART_BYTES = 64 * 2**20
MAX_VALUES = 512 * 2**20
"""Bytes that a part may become when it is read."""
_EVENTS = b"amdm.events"
_OWN = len(SAMPLE_KEY)
_ARROW = {"TEXT": pa.string(), "INTEGER": pa.int64(), "REAL": pa.float64()}


@cache
def part_schema() -> pa.Schema:
    """Of every part: the key of a sample, ``sample`` (absent where it was dropped), and a list for each table of
    verdicts; columns have the types of the database."""
    types: dict[str, pa.DataType] = {}
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(SCHEMA)

        def struct(columns: Sequence[str], *tables: str) -> pa.DataType:
            for table in tables:
                types.update({one[1]: _ARROW[one[2]] for one in fresh.execute(f"PRAGMA table_info({table})")})
            return pa.struct([(name, types[name]) for name in columns[_OWN:]])

        sample = struct(SAMPLE_COLUMNS, "samples", "details")
        judged = [(name, pa.list_(struct(columns, name))) for name, columns in BESIDE_SAMPLES.items()]
    return pa.schema([*((name, types[name]) for name in SAMPLE_KEY), ("sample", sample), *judged])


def part_of(database: sqlite3.Connection, keys: Iterable[SampleKey], events: Sequence[tuple[str, str]]) -> bytes:
    """What the database says now of these samples, which it may have no more. events: when and what."""
    table = pa.Table.from_pylist([_row(database, key) for key in keys], part_schema())
    file = BytesIO()
    pq.write_table(table.replace_schema_metadata({_EVENTS: json.dumps(events).encode()}), file, compression="zstd")
    return file.getvalue()


def _row(database: sqlite3.Connection, key: SampleKey) -> dict[str, Any]:
    def rows(columns: Sequence[str], source: str) -> list[dict[str, Any]]:
        own = columns[_OWN:]
        found = database.execute(f"SELECT {', '.join(own)} FROM {source} {OF_SAMPLE} ORDER BY 1", key)
        return [dict(zip(own, one, strict=True)) for one in found]

    sample = rows(SAMPLE_COLUMNS, f"samples LEFT JOIN details USING ({KEY_COLUMNS})")
    judged = {name: rows(columns, name) for name, columns in BESIDE_SAMPLES.items()}
    return {**dict(zip(SAMPLE_KEY, key, strict=True)), "sample": next(iter(sample), None), **judged}


def add_part(database: sqlite3.Connection, content: bytes, known: set[SampleKey]) -> None:
    """Put a part down behind those that were before. known: samples of these; those of this one join them.

    Raises:
        InputError: it is not a part, or holds what a run's records do not.
    """
    table = _table(content)
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in ("samples", "details", *BESIDE_SAMPLES)}
    for one in table.to_pylist():
        key = tuple(one[name] for name in SAMPLE_KEY)
        if key in known:
            for name in rows:
                database.execute(f"DELETE FROM {name} {OF_SAMPLE}", key)
        known.add(key)
        if one["sample"] is not None:
            rows["samples"].append((*key, *(one["sample"][column] for column in RECORD_COLUMNS[_OWN:])))
            rows["details"].append((*key, *(one["sample"][column] for column in DETAIL_COLUMNS[_OWN:])))
        for name, columns in BESIDE_SAMPLES.items():
            rows[name] += [(*key, *(own[column] for column in columns[_OWN:])) for own in one[name] or ()]
    try:
        for name, own in rows.items():
            if own:
                database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(own[0]))})", own)
        database.executemany("INSERT INTO events VALUES (?, ?)", _events(table))
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, UnicodeError, TypeError) as error:
        raise InputError(f"holds what a run's records do not: {error}") from None


def _table(content: bytes) -> pa.Table:
    try:
        file = pq.ParquetFile(BytesIO(content))
        about = file.metadata
        size = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
        if file.schema_arrow.equals(part_schema()) and about.num_rows <= MAX_SAMPLES and size <= MAX_VALUES:
            return file.read()
    except (pa.ArrowException, OSError, ValueError):
        pass
    raise InputError("is not a part of a run's records, or is damaged")


def _events(table: pa.Table) -> list[tuple[str, str]]:
    try:
        return [(at, what) for at, what in json.loads((table.schema.metadata or {})[_EVENTS])]
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError("does not say what happened on the way") from error
