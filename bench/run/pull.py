"""The working folder of a run in a remote folder, made from what the remote folder holds."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from amdm.errors import InputError, in_file
from amdm.io.files import make_folder, user_cache, write_atomic
from amdm.progress import Progress
from bench.io.remote import RemoteFolder
from bench.run.images import MAX_PICTURE_BYTES
from bench.run.info import FILE, MAX_INFO_BYTES, RunInfo
from bench.run.inventory import SampleKey
from bench.run.parts import MAX_PART_BYTES, add_part
from bench.run.schema import BESIDE_SAMPLES, DATABASE, KEY_COLUMNS, SCHEMA
from bench.workers.tracebacks import ERRORS, MAX_ERRORS_BYTES

PART = re.compile(r"records/part-(\d{6})\.parquet")
PICTURE = re.compile(r"images/(?!\.\.?/)[A-Za-z0-9.+@%-]+/[A-Za-z0-9.+@%_-]+\.png")
"""As :func:`bench.run.images.picture_name` makes them."""
_BASE = "parts"
"""Beside the working folder, when it last was as the remote folder: of how many parts its database was made, and the
SHA-256 of run.json there. Another run in the same remote folder, or the same one gone on with elsewhere, has
another."""


@dataclass(frozen=True)
class Pulled:
    """parts, events: how many the remote folder holds. info: SHA-256 of its run.json. surplus: samples of which this
    machine recorded what is not there yet. is_new: the remote folder holds no run."""

    remote: RemoteFolder
    folder: Path
    parts: int
    events: int
    info: str
    surplus: frozenset[SampleKey]
    is_new: bool

    def note(self, parts: int, info: str) -> None:
        """That the database holds all of so many parts, and what run.json is in the remote folder."""
        write_atomic(home_of(self.remote) / _BASE, _base(parts, info))


def part_name(number: int) -> str:
    """Of a part, from 1."""
    return f"records/part-{number:06}.parquet"


def home_of(remote: RemoteFolder) -> Path:
    """The user's folder on this machine for the run in a remote folder; made where it is not there."""
    return make_folder(user_cache("remote") / hashlib.sha256(remote.url.encode()).hexdigest()[:16])


def folder_of(remote: RemoteFolder) -> Path:
    """The working folder, which has the name of the run."""
    return home_of(remote) / "run" / remote.name


def pull(
    remote: RemoteFolder, home: Path, pictures: bool = True, again: bool = False, may_be_new: bool = False
) -> Pulled:
    """Make the working folder what the remote folder is, and what this machine recorded beyond. The folder's lock is
    held.

    pictures: those of the run too, of which files of the same size are taken to be the same, unless ``again``.

    Raises:
        InputError: there is no run (unless ``may_be_new`` and nothing else); records that are not a run's, or lacking.
        ConnectionError: the remote folder does not answer.
    """
    folder, sizes = folder_of(remote), remote.sizes()
    if FILE not in sizes:
        if not may_be_new:
            raise InputError("is absent: there is no run", file=f"{remote}/{FILE}")
        if sizes:
            raise InputError(f"holds {min(sizes)} and no {FILE}: it is not a run", file=remote)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that lay there before
        make_folder(folder)
        new = Pulled(remote, folder, 0, 0, "", frozenset(), True)
        new.note(0, "")
        return new
    make_folder(folder)
    content, rebuilt, parts = remote.read(FILE, MAX_INFO_BYTES), home / "rebuilt.sqlite", _parts(remote, sizes)
    info, events = hashlib.sha256(content).hexdigest(), _rebuild(remote, parts, rebuilt)
    surplus = _surplus(folder, rebuilt) if _noted(home) == _base(parts, info) else None
    if surplus is None:
        (folder / f"{DATABASE}-journal").unlink(missing_ok=True)  # or SQLite would play it into the new file
        rebuilt.replace(folder / DATABASE)
        write_atomic(folder / FILE, content)
        if 0 < sizes.get(ERRORS, 0) <= MAX_ERRORS_BYTES:  # this machine goes on with it
            write_atomic(folder / ERRORS, remote.read(ERRORS, MAX_ERRORS_BYTES))
    pulled = Pulled(remote, folder, parts, events, info, surplus or frozenset(), False)
    pulled.note(parts, info)
    if pictures:
        _pull_pictures(remote, folder, sizes, again)
    return pulled


def _parts(remote: RemoteFolder, sizes: Mapping[str, int]) -> int:
    """How many there are. Raises InputError where one before the last is absent, or one is too large."""
    numbers = {int(found[1]) for name in sizes if (found := PART.fullmatch(name))}
    for number in range(1, len(numbers) + 1):
        if number not in numbers:
            raise InputError("is absent, and later parts are there", file=f"{remote}/{part_name(number)}")
        if sizes[part_name(number)] > MAX_PART_BYTES:
            raise InputError(f"has more than {MAX_PART_BYTES} bytes", file=f"{remote}/{part_name(number)}")
    return len(numbers)


def _rebuild(remote: RemoteFolder, parts: int, path: Path) -> int:
    """Make a database of the parts; returns how many events it has."""
    path.unlink(missing_ok=True)
    known: set[SampleKey] = set()
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as scratch,
        closing(sqlite3.connect(path, isolation_level=None)) as database,
    ):
        files = {part_name(k): Path(scratch) / f"{k}" for k in range(1, parts + 1)}
        for _ in remote.fetch(files.items()):
            pass
        database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA}; BEGIN")
        for name, file in files.items():
            with in_file(f"{remote}/{name}"):
                add_part(database, file.read_bytes(), known)
        database.execute("COMMIT")
        return int(database.execute("SELECT count(*) FROM events").fetchone()[0])


def _base(parts: int, info: str) -> bytes:
    return f"{parts} {info}".encode()


def _noted(home: Path) -> bytes | None:
    try:
        return (home / _BASE).read_bytes()
    except OSError:
        return None


def _surplus(folder: Path, rebuilt: Path) -> frozenset[SampleKey] | None:
    """Samples of which the working folder has other records than the remote folder; None where it is none that can be
    used."""
    try:
        RunInfo.read(folder)
        with closing(sqlite3.connect(f"{(folder / DATABASE).resolve().as_uri()}?mode=rw", uri=True)) as own:
            own.execute("ATTACH ? AS remote", (str(rebuilt),))
            found: set[SampleKey] = set()
            for table in ("samples", "details", *BESIDE_SAMPLES):
                for one, other in (("main", "remote"), ("remote", "main")):
                    less = f"SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {other}.{table}"
                    found.update(own.execute(f"SELECT DISTINCT {KEY_COLUMNS} FROM ({less})"))
            return frozenset(found)
    except (InputError, sqlite3.Error):
        return None


def _pull_pictures(remote: RemoteFolder, folder: Path, sizes: Mapping[str, int], again: bool) -> None:
    there = {name for name in sizes if PICTURE.fullmatch(name) and sizes[name] <= MAX_PICTURE_BYTES}
    for path in folder.glob("images/*/*"):
        name = path.relative_to(folder).as_posix()
        if again or name not in there or path.stat().st_size != sizes[name]:
            path.unlink()
    wanted = {name: folder / name for name in sorted(there) if not (folder / name).exists()}
    for parent in {path.parent for path in wanted.values()}:
        make_folder(parent)
    with Progress(total=len(wanted), desc="fetch", unit="image", disable=not wanted) as progress:
        for count in remote.fetch(wanted.items()):
            progress.update(count)
