"""A run folder: one SQLite database, the pictures beside it, and run.json with all that is needed to repeat it.

Whatever happens (kill, full disk, a picture removed by hand), what the database calls done is whole on disk or is done
again: pictures are written under a temporary name, flushed and renamed before the one transaction that records them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pandas as pd

from amdm.errors import InputError
from amdm.files import make_folder, read_json, sha256, write_whole
from bench.sqlite_files import refuse_traps

_SCHEMA = """
CREATE TABLE IF NOT EXISTS samples (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL CHECK (layout_index >= 0),
  seed INTEGER NOT NULL CHECK (seed BETWEEN 0 AND 2147483647), status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
  error TEXT, attempts INTEGER NOT NULL, image TEXT, sha256 TEXT, batch_size INTEGER, seconds REAL, evaluations TEXT,
  PRIMARY KEY (method, layout_index, seed)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL, seed INTEGER NOT NULL, instance INTEGER NOT NULL,
  label TEXT NOT NULL, colour TEXT NOT NULL, category TEXT NOT NULL,
  level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 99),
  box_area REAL NOT NULL CHECK (box_area BETWEEN 0 AND 1), detected INTEGER NOT NULL CHECK (detected IN (0, 1)),
  iou REAL NOT NULL CHECK (iou BETWEEN 0 AND 1), success INTEGER NOT NULL CHECK (success IN (0, 1)),
  attr INTEGER NOT NULL CHECK (attr IN (0, 1)), miou REAL NOT NULL CHECK (miou BETWEEN 0 AND 1),
  mask_px INTEGER CHECK (mask_px BETWEEN 0 AND 4294967296), hit_px INTEGER CHECK (hit_px BETWEEN 0 AND 4294967296),
  PRIMARY KEY (method, layout_index, seed, instance)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (at TEXT NOT NULL, what TEXT NOT NULL) STRICT;
"""
SAMPLE_COLUMNS = (
    *("method", "layout_index", "seed", "status", "error", "attempts"),
    *("image", "sha256", "batch_size", "seconds", "evaluations"),
)
VERDICT_COLUMNS = (
    *("method", "layout_index", "seed", "instance", "label", "colour", "category", "level", "box_area"),
    *("detected", "iou", "success", "attr", "miou", "mask_px", "hit_px"),
)
DATABASE = "run.sqlite"
OWN_FILES = ("run.json", "run.json.partial", DATABASE, f"{DATABASE}-journal", "lock")
LARGEST_DATABASE = 512 * 2**20
"""Bytes; a run of 800 layouts, ten methods and ten seeds has a tenth of it."""
BUSY_SECONDS = 10
LARGEST_INFO = 16 * 2**20
MOST_ROWS = 2_000_000
"""Of a table, which pandas holds in memory; the largest run has 1.2 million verdicts."""
LARGEST_PICTURE = 64 * 2**20
PROGRESS_FIELDS = (
    *("started", "finished", "status", "command", "forced", "workers", "merged", "taken_from", "judging_again"),
    *("git", "machine", "driver"),
)
"""Fields of run.json that may differ when a run goes on; all others are settings."""


class RunStore:
    """An open run folder with its lock held. Use as a context manager.

    Args:
        folder: made where it does not exist.
        settings: what decides the results, as plain JSON; compared with those of an existing run.
        force: go on under other settings; what differs is recorded in run.json.

    Raises:
        InputError: another process holds the folder; settings differ (naming the first field); it is no run folder.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], force: bool = False) -> None:
        self.folder = folder
        make_folder(folder)
        if not (folder / "run.json").exists():
            # A run that was killed before it had a run.json has no more than these.
            leftover = {path.name for path in folder.iterdir()} - {"lock", "run.json.partial"}
            if leftover:
                raise InputError(f"holds {min(leftover)} and no run.json: it is no run folder", file=folder)
        _refuse_traps(folder)
        self._lock = _locked(folder)
        try:
            self.info = self._agreed(settings, force)
            self._database = _database(folder / DATABASE)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._lock.close()

    def update_info(self, **fields: object) -> None:
        """Change progress fields of run.json, atomically."""
        self.info |= fields
        write_whole(self.folder / "run.json", (json.dumps(self.info, indent=2) + "\n").encode())

    def whole_samples(self) -> set[tuple[str, int, int]]:
        """(method, layout_index, seed) of samples that are done: their picture lies there unchanged."""
        rows = self._database.execute(
            "SELECT method, layout_index, seed, image, sha256 FROM samples WHERE status = 'ok'"
        )
        return {(m, i, s) for m, i, s, image, digest in rows if picture_is(self.folder, image, digest)}

    def failed_samples(self) -> set[tuple[str, int, int]]:
        """Samples that were given up."""
        return set(self._database.execute("SELECT method, layout_index, seed FROM samples WHERE status = 'failed'"))

    def judged_samples(self) -> set[tuple[str, int, int]]:
        """Samples that have verdicts."""
        return set(self._database.execute("SELECT DISTINCT method, layout_index, seed FROM verdicts"))

    def add_image(self, method: str, image_id: str, key: str, seed: int, image: np.ndarray) -> tuple[str, str]:
        """Write a picture uint8 RGB (H, W, 3); returns its path inside the folder and its SHA-256."""
        # The key stands last, behind an underscore, where the official evaluator looks for it.
        name = f"{_safe(image_id)}_s{seed}_{_safe(key)}.png"
        path = Path("images") / _safe(method) / name
        (self.folder / path.parent).mkdir(parents=True, exist_ok=True)
        encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
        write_whole(self.folder / path, encoded)
        return str(path), hashlib.sha256(encoded).hexdigest()

    def record(
        self,
        samples: Iterable[dict[str, Any]] = (),
        verdicts: Iterable[Sequence[Any]] = (),
        events: Iterable[str] = (),
    ) -> None:
        """Put a batch down in one transaction. New samples lose the verdicts of the pictures that they replace.

        events: what happened on the way (an out-of-memory error that halved the batch, say); kept with the time.
        """
        samples = list(samples)
        with _transaction(self._database):
            for sample in samples:
                key = (sample["method"], sample["layout_index"], sample["seed"])
                self._database.execute("DELETE FROM verdicts WHERE (method, layout_index, seed) = (?, ?, ?)", key)
            rows = [[sample.get(column) for column in SAMPLE_COLUMNS] for sample in samples]
            marks = ", ".join("?" * len(SAMPLE_COLUMNS))
            self._database.executemany(f"INSERT OR REPLACE INTO samples VALUES ({marks})", rows)
            marks = ", ".join("?" * len(VERDICT_COLUMNS))
            self._database.executemany(f"INSERT OR REPLACE INTO verdicts VALUES ({marks})", list(verdicts))
            self._database.executemany("INSERT INTO events VALUES (datetime('now'), ?)", [(event,) for event in events])

    def forget_verdicts(self) -> None:
        """Drop every verdict, so that all pictures are judged again."""
        with _transaction(self._database):
            self._database.execute("DELETE FROM verdicts")

    def _agreed(self, settings: dict[str, Any], force: bool) -> dict[str, Any]:
        path = self.folder / "run.json"
        settings = json.loads(json.dumps(settings))
        if not path.exists():
            self.info = dict(settings)
            self.update_info(status="started")
            return self.info
        info = read_run_info(self.folder)
        earlier = info.get("forced", [])
        if not isinstance(earlier, list):
            raise InputError("is not a list", file=path, field="forced")
        forced: list[dict[str, str]] = []
        for field in sorted((set(settings) | set(info)) - set(PROGRESS_FIELDS)):
            if info.get(field) != settings.get(field):
                where, before, now = first_difference(field, info.get(field), settings.get(field))
                if not force:
                    raise InputError(f"was {before}, now {now}; use another folder, or --force", file=path, field=where)
                forced.append({"field": where, "before": before, "now": now})
                info[field] = settings.get(field)
        self.info = info
        if forced:
            self.update_info(forced=[*earlier, *forced])
        return self.info


def read_run_info(folder: Path) -> dict[str, Any]:
    """run.json. Raises InputError where it cannot be read."""
    path = folder / "run.json"
    info = read_json(path, LARGEST_INFO)
    if not isinstance(info, dict):
        raise InputError("is not a JSON object", file=path)
    return info


def read_table(folder: Path, table: str) -> pd.DataFrame:
    """``samples``, ``verdicts`` or ``events`` of a run, without its lock. Raises InputError without such a database."""
    path = folder / DATABASE
    columns, order = {
        "samples": (SAMPLE_COLUMNS, "method, seed, layout_index"),
        "verdicts": (VERDICT_COLUMNS, "method, seed, layout_index, instance"),
        "events": (("at", "what"), "rowid"),
    }[table]
    if not path.exists():
        raise InputError("is absent", file=path)
    refuse_traps(path)
    if sum(one.stat().st_size for one in path.parent.glob(f"{DATABASE}*")) > LARGEST_DATABASE:
        raise InputError(f"has more than {LARGEST_DATABASE} bytes, with its journal", file=path)
    try:
        with closing(sqlite3.connect(":memory:")) as copy:  # SQLite checks values only in what it may write
            _copy_database(path, copy)
            _check_database(copy, path)
            if copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > MOST_ROWS:
                raise InputError(f"has more than {MOST_ROWS:,} rows", file=path, field=table)
            return pd.read_sql_query(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}", copy)
    except (sqlite3.DatabaseError, pd.errors.DatabaseError, UnicodeDecodeError) as error:
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


def stored_file(folder: Path, name: object) -> Path | None:
    """The picture that a record names; None where the name leads out of the folder (runs may come from strangers)."""
    if not isinstance(name, str) or not name.isprintable() or ".." in name.split("/"):
        return None
    try:
        path = (folder / name).resolve()
        path.exists()
    except (OSError, RuntimeError):  # a name that is too long, a link to itself
        return None
    return path if path.is_relative_to(folder.resolve() / "images") else None


def picture_is(folder: Path, name: object, digest: object) -> bool:
    """Whether a stored picture is there and has this SHA-256; one that is larger than any picture is none."""
    path = stored_file(folder, name)
    return path is not None and path.is_file() and path.stat().st_size <= LARGEST_PICTURE and sha256(path) == digest


class _transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK on an error."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def __enter__(self) -> None:
        self.database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.database.execute("COMMIT")
        finally:
            if self.database.in_transaction:  # SQLite rolls back by itself when the disk is full
                self.database.execute("ROLLBACK")


def _database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        _check_database(database, path)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        database.close()
        if isinstance(error, sqlite3.OperationalError) and "full" in str(error):  # nothing is wrong with the file
            raise
        raise InputError(f"is not a run's database ({error})", file=path) from error
    except InputError:
        database.close()
        raise
    return database


def _check_database(database: sqlite3.Connection, path: Path) -> None:
    """Tables as they are made here and nothing else (a view can run for ever), no damaged page, no value out of range.

    Raises:
        InputError: naming what is wrong.
    """
    query = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(_SCHEMA)
        if database.execute(query).fetchall() != fresh.execute(query).fetchall():
            raise InputError("is not a run's database: other tables, or views or triggers", file=path)
    found = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise InputError(f"is damaged: {found[0]}", file=path)


def _refuse_traps(folder: Path) -> None:
    """A folder that comes from somewhere else could lead what is written to it out of it, or have it wait for ever."""
    for path in (*folder.iterdir(), *folder.glob("images/*")):
        if path.is_symlink():
            raise InputError("is a link; what a run writes must stay in its folder", file=path)
    for path in (folder / "lock", *folder.glob("run.json*")):
        if path.exists() and not path.is_file():
            raise InputError("is no regular file", file=path)
    refuse_traps(folder / DATABASE)


def _locked(folder: Path) -> Any:
    file = (folder / "lock").open("a+", encoding="utf-8", errors="replace")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise InputError(f"is in use by {holder}", file=folder) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def _safe(text: str) -> str:
    """A file name that stays in its folder: other characters become %xx; long names are cut and hashed."""
    name = re.sub(r"[^A-Za-z0-9.+@-]", lambda match: "".join(f"%{byte:02x}" for byte in _bytes(match[0])), text)
    name = re.sub(r"^\.", "%2e", name) or "%"
    return name if len(name) <= 80 else f"{name[:60]}-{hashlib.sha256(_bytes(text)).hexdigest()[:16]}"


def _bytes(text: str) -> bytes:
    """UTF-8, also of half a surrogate pair, which JSON can hold."""
    return text.encode("utf-8", "surrogatepass")


def first_difference(field: str, before: Any, now: Any) -> tuple[str, str, str]:
    """The innermost differing field of two JSON values, and how they differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(set(before) | set(now)):
            if before.get(key) != now.get(key):
                return first_difference(f"{field}.{key}", before.get(key), now.get(key))
    return field, json.dumps(before), json.dumps(now)
