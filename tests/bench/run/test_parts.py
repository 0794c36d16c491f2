"""Parts are what the database says, and nothing that a run's records do not."""

from __future__ import annotations

import sqlite3
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from amdm.errors import InputError
from bench.run.inventory import SampleKey
from bench.run.parts import add_part, part_of, part_schema
from bench.run.schema import BESIDE_SAMPLES, SCHEMA
from bench.run.store import RunStore
from tests.bench.run.test_store import SETTINGS, add, verdict

TABLES = ("samples", "details", "events", *BESIDE_SAMPLES)
FINDING = ("m", 0, 0, 0, 0.1, None, 0.3, 0.4, "red", 0.5)


def content(database: sqlite3.Connection) -> dict[str, list[Any]]:
    return {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}


@pytest.fixture
def recorded(tmp_path: Path) -> sqlite3.Connection:
    """Two judged samples and one that failed."""
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store, index=0, peak_bytes=2**40, peak_of="gpu", seconds=0.25)
        add(store, index=1)
        add(store, index=2, status="failed", error='"ü"\n')
        judged = [verdict("m", 0), verdict("m", 0, instance=1), verdict("m", 1)]
        store.record(judged={"verdicts": judged, "findings": [FINDING], "styles": [("m", 1, 0, "a", "b", 0, 0.5)]})
        store.record(events=["one", "two"])
    return sqlite3.connect(tmp_path / "run" / "run.sqlite")


def fresh() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA)
    return database


KEYS: list[SampleKey] = [("m", 0, 0), ("m", 1, 0), ("m", 2, 0)]


def test_a_database_is_its_parts(recorded: sqlite3.Connection) -> None:
    events = recorded.execute("SELECT at, what FROM events").fetchall()
    found, known = fresh(), set[SampleKey]()
    add_part(found, part_of(recorded, KEYS[:2], events), known)
    add_part(found, part_of(recorded, KEYS[2:], []), known)
    assert content(found) == content(recorded) and known == set(KEYS)
    recorded.execute("DELETE FROM verdicts WHERE layout_index = 0")  # as where a picture is made again
    recorded.execute("UPDATE samples SET attempts = 3 WHERE layout_index = 1")
    for table in ("samples", "details"):  # as where a run grows
        recorded.execute(f"DELETE FROM {table} WHERE layout_index = 2")
    add_part(found, part_of(recorded, KEYS, []), known)
    assert content(found) == content(recorded)


def test_a_part_is_a_table_that_others_can_read(recorded: sqlite3.Connection) -> None:
    table = pq.read_table(BytesIO(part_of(recorded, KEYS, [])))
    assert table.column_names == ["method", "layout_index", "seed", "sample", *BESIDE_SAMPLES]
    assert [len(own) for own in table["verdicts"].to_pylist()] == [2, 1, 0]


def rewritten(rows: list[dict[str, Any]], schema: pa.Schema | None = None, **metadata: str) -> bytes:
    file = BytesIO()
    table = pa.Table.from_pylist(rows, schema or part_schema())
    pq.write_table(table.replace_schema_metadata(metadata or {"amdm.events": "[]"}), file)
    return file.getvalue()


def sample(**changes: Any) -> dict[str, Any]:
    own = {"status": "ok", "attempts": 1, "image": "images/m/a.png", "sha256": "0" * 64, **changes}
    return {"method": "m", "layout_index": 0, "seed": 0, "sample": own}


def test_what_is_no_part_is_refused() -> None:
    good = rewritten([sample()])
    add_part(fresh(), good, set())
    judged = {name: 1 for name in ("instance", "level", "detected", "success", "attr")}
    texts = {"label": "", "colour": "", "category": ""}
    strange = {**judged, **texts, "box_area": 2.0, "iou": 0.5, "miou": 0.5}
    for content in (
        *(b"", b"PAR1", good[:-9], good[:40] + bytes(40) + good[80:], b"x" * 100),
        rewritten([{"method": "m"}], pa.schema([("method", pa.string())])),
        *(rewritten([sample(**one)]) for one in ({"status": "mine"}, {"attempts": None}, {"peak_of": "moon"})),
        rewritten([sample() | {"seed": -1}]),
        rewritten([sample() | {"method": None}]),
        rewritten([sample(), sample()]),
        rewritten([sample() | {"verdicts": [strange]}]),
        *(rewritten([sample()], **{"amdm.events": text}) for text in ("{", "[1]", '[["a", 1, 2]]', "[" * 10**5)),
        rewritten([sample()], other="[]"),
        rewritten([sample() | {"layout_index": k} for k in range(2001)]),
    ):
        with pytest.raises(InputError):
            add_part(fresh(), content, set())
