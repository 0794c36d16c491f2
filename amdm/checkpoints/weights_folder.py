"""The folder of public weights: where files lie, and what they were when first seen."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from amdm.checkpoints.catalogue import WeightFile, files_of
from amdm.errors import InputError
from amdm.io.files import read_bytes, sha256, user_cache

LOCK = "weights.lock.json"
MAX_LOCK_BYTES = 2**20


@dataclass(frozen=True)
class LockEntry:
    """What was recorded of a file: SHA-256, bytes and time of last change then, the Hub's commit, when."""

    sha256: str
    size: int
    mtime_ns: int
    commit: str
    first_seen: str


def weights_dir(chosen: Path | None = None) -> Path:
    """The folder: as chosen, else AMDM_WEIGHTS_DIR, else ``amdm/weights`` in the user's cache."""
    if chosen is not None:
        return chosen
    folder = os.environ.get("AMDM_WEIGHTS_DIR")
    return Path(folder) if folder else user_cache("weights")


def read_lock(folder: Path) -> dict[str, LockEntry]:
    """What was recorded, by the file's place. Raises InputError for a lock file that cannot be read."""
    path = folder / LOCK
    if not path.exists():
        return {}
    try:
        return TypeAdapter(dict[str, LockEntry]).validate_json(read_bytes(path, MAX_LOCK_BYTES), strict=True)
    except ValidationError as error:
        raise InputError("cannot be read; delete it to record all files anew", file=path) from error


def record(folder: Path, place: str, commit: str, published: Sequence[str] = (), replaces: bool = False) -> LockEntry:
    """Hash a file that has come, and write it into the lock file, whole or not at all.

    Args:
        published: its SHA-256, or the beginning of it, as public texts and its server give it; "" says nothing.
        replaces: whether it may be another than was recorded before; so for what is made here.

    Raises:
        InputError: its digest is not the published one, or another was recorded for it before.
    """
    path = folder / place
    digest = sha256(path)
    with _alone(folder):
        lock = read_lock(folder)
        _compare(path, digest, published, None if replaces else lock.get(place))
        state = path.stat()
        first = lock[place].first_seen if place in lock else datetime.now(UTC).date().isoformat()
        lock[place] = LockEntry(digest, state.st_size, state.st_mtime_ns, commit, first)
        _write_lock(folder, lock)
    return lock[place]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process records meanwhile, where the file system has locks of folders.

    The folder's own: several users may share it, and none could open a lock file of another.
    """
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _write_lock(folder: Path, lock: dict[str, LockEntry]) -> None:
    content = json.dumps({name: asdict(one) for name, one in sorted(lock.items())}, indent=1) + "\n"
    fresh = folder / f".{LOCK}-{uuid4().hex}"  # where there are no locks, two may record at a time
    with fresh.open("x", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / LOCK)


def require(wanted: WeightFile, folder: Path) -> Path:
    """The path of a file that is there and is what was recorded; an unrecorded one is recorded (trust on first use).

    A file is hashed again only where its size or time of change is not the recorded one.

    Raises:
        InputError: it is absent (the command that brings it is named), or is not the file first seen.
    """
    path, place = folder / wanted.place, str(wanted.place)
    if not path.is_file():
        raise InputError(f"is absent: run `amdm weights fetch --profile {wanted.profiles[0]}`", file=path)
    require_inside(path, folder)
    seen, state = read_lock(folder).get(place), path.stat()
    if seen is None or (seen.size, seen.mtime_ns) != (state.st_size, state.st_mtime_ns):
        record(folder, place, seen.commit if seen else "")
    return path


def is_as_recorded(folder: Path, place: str) -> bool:
    """Whether a file is there and is what was recorded; hashed only where its size or time of change is another."""
    path, seen = folder / place, read_lock(folder).get(place)
    if seen is None or not path.is_file():
        return False
    state = path.stat()
    return (seen.size, seen.mtime_ns) == (state.st_size, state.st_mtime_ns) or sha256(path) == seen.sha256


def verify(wanted: WeightFile, folder: Path) -> str:
    """Hash a file that is there, whatever its size and time of change say; returns its SHA-256.

    Raises:
        InputError: it is a link out of the folder, or not the file that was published or first seen.
    """
    path, seen = folder / wanted.place, read_lock(folder).get(str(wanted.place))
    require_inside(path, folder)
    digest = sha256(path)
    _compare(path, digest, (wanted.sha256,), seen)
    return digest


def require_inside(path: Path, folder: Path) -> None:
    """Raise InputError where a link leads out of the weights folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError("is a link out of the weights folder", file=path)


def is_there(wanted: WeightFile, folder: Path) -> bool:
    """Whether the file lies where it should; nothing is hashed."""
    return (folder / wanted.place).is_file()


def absent_files(profile: str, folder: Path | None = None) -> list[str]:
    """Names of a profile's files that are not there. folder: of the weights, by default the usual one."""
    return [one.name for one in files_of(profile) if not is_there(one, weights_dir(folder))]


def _compare(path: Path, digest: str, published: Sequence[str], seen: LockEntry | None) -> None:
    found = f"its SHA-256 is {digest[:12]}…"
    for known in published:
        if not digest.startswith(known):
            raise InputError(f"{found}, not {known[:12]}… as published", file=path)
    if seen is not None and digest != seen.sha256:
        what = f"{found}, not {seen.sha256[:12]}… as first seen on {seen.first_seen}"
        raise InputError(f"{what}; if that is meant, delete its entry in {LOCK}", file=path)
