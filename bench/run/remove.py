"""Removing a run: its own files and no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from amdm.errors import InputError, printable
from bench.detectors.cache import CACHE_FILE
from bench.io.remote import RemoteFolder
from bench.job.plan import Plan
from bench.run.images import picture_name
from bench.run.info import FILE, RunInfo
from bench.run.mirror import reading, removing
from bench.run.pull import PART, PICTURE
from bench.run.read import read_table
from bench.run.schema import DATABASE
from bench.run.store import locked
from bench.workers.tracebacks import ERRORS

LOCK = "lock"
_FILES = (CACHE_FILE, f"{CACHE_FILE}-journal", ERRORS, f"{DATABASE}-journal", DATABASE, f"{FILE}.partial", FILE, LOCK)
"""Beside the pictures, in the order in which they go: while run.json is there, the folder is a run."""


class Removal(NamedTuple):
    """own: the run's files in the order in which they go, and their bytes; of a remote folder, as names in it. others:
    what else lies in its folder and stays, as names in it."""

    own: dict[PurePath, int]
    others: list[str]

    @property
    def bytes(self) -> int:
        """Of the run's files."""
        return sum(self.own.values())


def look_at(folder: Path | RemoteFolder) -> Removal:
    """What removing a run would take, and what it would leave.

    Raises:
        InputError: it is a link, or not a run.
    """
    if isinstance(folder, RemoteFolder):
        return _look_at_remote(folder, reading(folder, pictures=False))
    if folder.is_symlink():
        raise InputError("is a link; name the folder itself", file=folder)
    info = RunInfo.read(folder)
    named = [*_pictures(folder, info), *_FILES]
    files = (folder / name for name in dict.fromkeys(named) if _is_plain_file(folder, name))
    own: dict[PurePath, int] = {path: path.stat().st_size for path in files}
    others = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return Removal(own, sorted(printable(str(path.relative_to(folder))) for path in set(others).difference(own)))


def _look_at_remote(remote: RemoteFolder, working: Path) -> Removal:
    """Later parts go first: those that are left, where it is stopped, are a run's."""
    sizes = remote.sizes()
    pictures = (name for name in _pictures(working, RunInfo.read(working)) if PICTURE.fullmatch(name))
    parts = sorted(filter(PART.fullmatch, sizes), reverse=True)
    names = (name for name in (*pictures, *parts, ERRORS, FILE) if name in sizes)
    own: dict[PurePath, int] = {PurePosixPath(name): sizes[name] for name in names}
    return Removal(own, [printable(name) for name in sizes if PurePosixPath(name) not in own])


def remove_run(folder: Path | RemoteFolder) -> Removal:
    """Remove a run's files, and its folders where nothing else lies in them; stopped, the same call goes on.

    Of a run in a remote folder, the working folder on this machine goes too.

    Raises:
        InputError: it is a link, not a run, or another process of this machine works on it.
    """
    if isinstance(folder, RemoteFolder):
        with removing(folder) as working:
            found = _look_at_remote(folder, working)
            folder.remove(map(str, found.own))
        return found
    look_at(folder)
    with locked(folder):
        found = look_at(folder)
        for path in found.own:
            Path(path).unlink(missing_ok=True)  # removes a name in this folder, whatever it has become
    for place in (*(folder / "images").glob("*"), folder / "images", folder):
        if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
            place.rmdir()
    return found


def _pictures(folder: Path, info: RunInfo) -> Iterator[str]:
    """Names of the pictures that are recorded, or that a process may have written before it was killed."""
    names = set()
    with suppress(InputError):  # it is damaged, or gone: what the settings ask for is known all the same
        names = {str(name) for name in read_table(folder, "samples")["image"].dropna()}
    try:
        plan = Plan.resolve(info.job)
        names |= {
            str(picture_name(group.method, entry.image_id, entry.key, group.seed))
            for group in plan.batches
            for entry in group.entries
        }
    except InputError:  # the layouts are not there: what is recorded is known all the same
        pass
    for name in sorted(names):
        yield from (f"{name}.partial", name)


def _is_plain_file(folder: Path, name: str) -> bool:
    """Whether a name is that of a file of the run: no link leads to it or is it, and pictures lie under images/."""
    parts = Path(name).parts
    if name not in _FILES and (len(parts) != 3 or parts[0] != "images" or ".." in parts or not name.isprintable()):
        return False
    steps = [folder.joinpath(*parts[: k + 1]) for k in range(len(parts))]
    return not any(step.is_symlink() for step in steps) and steps[-1].is_file()
