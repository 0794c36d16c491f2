"""Whether two working folders, each with a run under ``run`` and tables under ``reports``, hold the same."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from bench.run.info import RunInfo
from bench.run.schema import VERDICT_COLUMNS

TIMED = {"seconds"}
"""Columns of the records that may differ."""
COST = re.compile(rb'<td class="cost">[^<]*</td>')
"""Seconds and memory on the page of a run."""
ENGINE = re.compile(rb" --workers 2| --workers 1| --engine ray| --address [0-9.:]+")
"""Of a command: who worked, which is no setting."""


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two complete runs besides times and dates: records, verdicts, pictures, tables, settings."""
    found = []
    for name, first, second in (
        ("samples", _rows(one, "samples"), _rows(other, "samples")),
        ("verdicts", _rows(one, "verdicts"), _rows(other, "verdicts")),
        ("pictures", _files(one / "run" / "images"), _files(other / "run" / "images")),
        ("table1.csv", _table(one), _table(other)),
        ("reports", _reports(one), _reports(other)),
        ("run.json", _settings(one), _settings(other)),
    ):
        if first != second:
            found.append(f"{name} differ: {_what(first, second)}")
    return found


def _what(first: Any, second: Any) -> str:
    if not isinstance(first, dict) or not isinstance(second, dict):
        return ""
    changed = [key for key in {*first, *second} if first.get(key) != second.get(key)]
    return f"{len(changed)} of {len(first)}, for example {min(map(str, changed))}"


def _rows(folder: Path, table: str) -> dict[Any, dict[str, Any]]:
    with closing(sqlite3.connect(folder / "run" / "run.sqlite")) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(f"SELECT * FROM {table}")]
    if table == "verdicts":
        assert rows and tuple(rows[0]) == VERDICT_COLUMNS
    key = ("method", "layout_index", "seed", "instance")
    return {
        tuple(row.get(name) for name in key): {name: value for name, value in row.items() if name not in TIMED}
        for row in rows
    }


def _files(folder: Path) -> dict[str, bytes]:
    """Path → content; what an interrupted write left beside the pictures is none."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def _table(folder: Path) -> str:
    table = pd.read_csv(folder / "reports" / "run" / "table1.csv")
    return str(table.drop(columns=["s/image", "peak MiB"]).to_csv())


def _reports(folder: Path) -> dict[str, bytes]:
    """File → content, but for times and memory (in Table 1 and on the page) and what the command says of workers."""
    files = (folder / "reports" / "run").iterdir()
    return {path.name: _without_costs(path.read_bytes()) for path in files if path.stem != "table1"}


def _without_costs(content: bytes) -> bytes:
    return ENGINE.sub(b"", COST.sub(b"", content))


def _settings(folder: Path) -> dict[str, str]:
    info = RunInfo.read(folder / "run")
    command = ENGINE.sub(b"", info.command.encode()).decode()
    found = {**info.settings.by_name(), "status": info.status, "command": command}
    return {name: json.dumps(value) for name, value in found.items()}
