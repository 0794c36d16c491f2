"""A run folder: one SQLite database, the pictures beside it, and run.json with all that is needed to repeat it.

Whatever happens (kill, full disk, a picture removed by hand), what the database calls done is whole on disk or is done
again: pictures are written under a temporary name, flushed and renamed before the one transaction that records them.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from amdm.errors import InputError
from amdm.io.files import make_folder, write_atomic
from amdm.io.lock import lock_file
from bench.io.sqlite_safety import check_untrusted_sqlite
from bench.job.growth import GROWS, can_grow, grown
from bench.job.settings import RunSettings
from bench.provenance import Provenance, provenance
from bench.run.images import encoded, picture_is, picture_name
from bench.run.info import FILE, Change, FullSizeJudge, Growth, RunInfo, Status, differences, now
from bench.run.inventory import Inventory, SampleKey
from bench.run.mirror import mirror_of
from bench.run.read import check_database
from bench.run.schema import (
    BESIDE_SAMPLES,
    DATABASE,
    DETAIL_COLUMNS,
    FULL_SIZE_OF,
    JUDGED_TABLES,
    KEY_COLUMNS,
    OF_SAMPLE,
    READ_SECONDS,
    RECORD_COLUMNS,
    SCHEMA,
    VERDICT_TABLES,
)


class RunStore:
    """An open run folder with its lock held. Use as a context manager.

    Args:
        folder: made where it does not exist.
        settings: compared with those of an existing run.
        force: go on under other settings; what differs is recorded in run.json.
        grows: the settings may ask for more than the run holds (:mod:`bench.job.growth`); :meth:`grow` records it.

    Raises:
        InputError: another process holds the folder; settings differ (naming the first field); it is not a run folder.
    """

    def __init__(self, folder: Path, settings: RunSettings, force: bool = False, grows: bool = False) -> None:
        self.folder, self._mirror = folder, mirror_of(folder)
        make_folder(folder)
        if not (folder / FILE).exists():
            # A run that was killed before it had a run.json has no more than these.
            leftover = {path.name for path in folder.iterdir()} - {"lock", f"{FILE}.partial"}
            if leftover:
                raise InputError(f"holds {min(leftover)} and no {FILE}: it is not a run folder", file=folder)
        _check_untrusted_folder(folder)
        self._lock = lock_file(folder)
        try:
            self.info = self._check_settings(settings, force, grows)
            self._database = _database(folder / DATABASE)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        try:
            if self._mirror is not None and kind in (None, KeyboardInterrupt):
                self._mirror.save()
        finally:
            self._database.close()
            self._lock.close()

    def begin(self, workers: int, **progress: Any) -> None:
        """Record that this process works on the run from now on, and other fields of its progress."""
        started = self.info.progress.started or now()
        self.update(provenance=provenance(), started=started, workers=workers, **progress)

    def end(self, status: Status) -> None:
        """Record that the work is done, and how."""
        self.update(status, finished=now(), judging_again=False)

    def update(self, status: Status | None = None, provenance: Provenance | None = None, **progress: Any) -> None:
        """Change these in run.json (see :meth:`bench.run.info.RunInfo.updated`)."""
        self._save(self.info.updated(status, provenance, **progress))

    def set_judges(self, settings: RunSettings) -> None:
        """Take the detector and the judges from ``settings``; there must be no verdicts of others."""
        changed = self.info.settings.model_copy(update=settings.judged_by)
        self._save(self.info.model_copy(update={"settings": changed}))

    def grow(self, settings: RunSettings, again: Collection[SampleKey]) -> None:
        """Ask the run for what these settings ask for, which is more. again: samples to be made anew, which it drops.

        These go first: a process that is killed between the two leaves a run that is as it was, without them.
        """
        before, growth = self.info.settings.by_name(), []
        after = settings.by_name()
        for name in GROWS:
            if before[name] != after[name]:
                growth.append(Change(field=name, before=json.dumps(before[name]), now=json.dumps(after[name])))
        dropped = (self.complete_samples() | self.failed_samples()).intersection(again)
        with _transaction(self._database):
            for table in ("samples", "details", *BESIDE_SAMPLES):
                self._database.executemany(f"DELETE FROM {table} {OF_SAMPLE}", sorted(dropped))
        self._changed(dropped)
        self.info = self.info.model_copy(update={"settings": settings})
        one = Growth(at=now(), command=provenance().command, changes=tuple(growth), again=len(dropped))
        self.update("started", finished=None, grown=(*self.info.progress.grown, one))

    def _save(self, info: RunInfo) -> None:
        self.info = info
        info.write(self.folder)
        if self._mirror is not None:
            self._mirror.save()

    def _changed(self, samples: Iterable[SampleKey]) -> None:
        """The records of these are others than before; in a transaction that is done."""
        if self._mirror is not None:
            self._mirror.touched(samples)

    def complete_samples(self) -> set[SampleKey]:
        """(method, layout_index, seed) of samples that are done: their picture lies there unchanged."""
        rows = self._database.execute(f"SELECT {KEY_COLUMNS}, image, sha256 FROM samples WHERE status = 'ok'")
        return {(m, i, s) for m, i, s, image, digest in rows if picture_is(self.folder, image, digest)}

    def failed_samples(self) -> set[SampleKey]:
        """Samples that were given up."""
        return set(self._database.execute(f"SELECT {KEY_COLUMNS} FROM samples WHERE status = 'failed'"))

    def verdict_counts(self) -> dict[SampleKey, int]:
        """How many verdicts each sample has: on instances, interactions and style."""
        every = " UNION ALL ".join(f"SELECT {KEY_COLUMNS} FROM {table}" for table in VERDICT_TABLES)
        rows = self._database.execute(f"SELECT {KEY_COLUMNS}, COUNT(*) FROM ({every}) GROUP BY {KEY_COLUMNS}")
        return {(method, index, seed): count for method, index, seed, count in rows}

    def inventory(self, wanted: Mapping[SampleKey, int]) -> Inventory:
        """What the run holds of the samples that it should hold (see :attr:`bench.job.plan.Plan.samples`)."""
        complete, failed = frozenset(self.complete_samples()), frozenset(self.failed_samples())
        return Inventory(wanted, complete, failed, self.verdict_counts())

    def add_image(self, method: str, image_id: str, key: str, seed: int, image: np.ndarray) -> tuple[str, str]:
        """Write a picture uint8 RGB (H, W, 3); returns its path inside the folder and its SHA-256."""
        path = picture_name(method, image_id, key, seed)
        (self.folder / path.parent).mkdir(parents=True, exist_ok=True)
        content = encoded(image)
        write_atomic(self.folder / path, content)
        return str(path), hashlib.sha256(content).hexdigest()

    def record(
        self,
        samples: Iterable[dict[str, Any]] = (),
        judged: Mapping[str, Sequence[Sequence[Any]]] | None = None,
        events: Iterable[str] = (),
    ) -> None:
        """Put a batch down in one transaction. New samples lose the verdicts of the pictures that they replace.

        judged: rows of the tables of :data:`JUDGED_TABLES`.
        events: what happened on the way (an out-of-memory error that halved the batch, say); kept with the time.
        """
        samples = list(samples)
        keys = [(sample["method"], sample["layout_index"], sample["seed"]) for sample in samples]
        if self._mirror is not None:
            self._mirror.send_pictures(samples)
        with _transaction(self._database):
            for key in keys:
                for table in BESIDE_SAMPLES:
                    self._database.execute(f"DELETE FROM {table} {OF_SAMPLE}", key)
            for table, columns in (("samples", RECORD_COLUMNS), ("details", DETAIL_COLUMNS)):
                self._replace(table, [[sample.get(column) for column in columns] for sample in samples])
            for table, rows in (judged or {}).items():
                self._replace(table, rows)
            self._database.executemany("INSERT INTO events VALUES (datetime('now'), ?)", [(event,) for event in events])
        judged_of = {(row[0], row[1], row[2]) for rows in (judged or {}).values() for row in rows}
        self._changed({*keys, *judged_of})

    def record_full_size(self, judge: FullSizeJudge, rows: Sequence[Sequence[Any]]) -> None:
        """Put down what a judge of full size says of the run's pictures, in place of what one said before.

        The run names the judge last: one that is stopped between has no verdicts of a judge that it does not name.
        """
        others = tuple(one for one in self.info.progress.full_size if one.of != judge.of)
        self.update(full_size=others)
        table = FULL_SIZE_OF[judge.of]
        before = self._database.execute(f"SELECT DISTINCT {KEY_COLUMNS} FROM {table}").fetchall()
        with _transaction(self._database):
            self._database.execute(f"DELETE FROM {table}")
            self._replace(table, rows)
        self._changed({*before, *((row[0], row[1], row[2]) for row in rows)})
        self.update(full_size=(*others, judge))

    def _replace(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._database.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)

    def delete_verdicts(self) -> None:
        """Drop every verdict, so that all pictures are judged again."""
        judged = self.verdict_counts()
        with _transaction(self._database):
            for table in JUDGED_TABLES:
                self._database.execute(f"DELETE FROM {table}")
        self._changed(judged)

    def _check_settings(self, settings: RunSettings, force: bool, grows: bool) -> RunInfo:
        """What run.json holds: as it was, or with the settings that ``force`` goes on under."""
        path = self.folder / FILE
        if not path.exists():
            self._save(RunInfo(settings=settings))
            return self.info
        self.info = RunInfo.read(self.folder)
        held = self.info.job
        forced = differences(self.info.settings, settings, grows)
        if forced and not force:
            first = forced[0]
            what = f"was {first.before}, now {first.now}; use another folder, or --force"
            raise InputError(what, file=path, field=first.field)
        grows = grows and can_grow(held, settings.job)
        if grows and grown(held, settings.job) != settings.job:  # it was read before the folder was locked
            raise InputError("another command made the run grow meanwhile; the same command again", file=path)
        if forced:
            under = settings.model_copy(update={"job": held}) if grows else settings
            self.info = self.info.model_copy(update={"settings": under})
            self.update(forced=(*self.info.progress.forced, *forced))
        return self.info


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else works on the run in ``folder`` meanwhile; its database is not opened.

    Raises:
        InputError: another process does; a link or what is no regular file lies where a run writes.
    """
    _check_untrusted_folder(folder)
    with lock_file(folder):
        yield


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK on an error."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:  # SQLite rolls back by itself when the disk is full
            database.execute("ROLLBACK")


def _database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, READ_SECONDS, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(SCHEMA)
        check_database(database, path)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        database.close()
        if isinstance(error, sqlite3.OperationalError) and "full" in str(error):  # nothing is wrong with the file
            raise
        raise InputError(f"is not a run's database ({error})", file=path) from error
    except InputError:
        database.close()
        raise
    return database


def _check_untrusted_folder(folder: Path) -> None:
    """A folder that comes from somewhere else could lead what is written to it out of it, or have it wait for ever."""
    for path in (*folder.iterdir(), *folder.glob("images/*")):
        if path.is_symlink():
            raise InputError("is a link; what a run writes must stay in its folder", file=path)
    for path in (folder / "lock", *folder.glob("run.json*")):
        if path.exists() and not path.is_file():
            raise InputError("is not a regular file", file=path)
    check_untrusted_sqlite(folder / DATABASE)
