"""A run in a remote folder: its working folder on this machine, and what is handed over to the remote folder while it
is written.

The remote folder holds run.json, images/ and, of the database, parts (:mod:`bench.run.parts`). SQLite works in the
working folder, which is made anew from the remote folder, but for what this machine recorded and had not handed over
when it stopped. A picture is in the remote folder before its record is in any database, and a record before run.json
says that the run is done.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from amdm.errors import InputError
from amdm.io.lock import lock_file
from bench.io.remote import RemoteFolder
from bench.run.info import FILE
from bench.run.inventory import SampleKey
from bench.run.parts import MAX_SAMPLES, part_of
from bench.run.pull import Pulled, folder_of, home_of, part_name, pull
from bench.run.schema import DATABASE
from bench.workers.tracebacks import ERRORS

SECONDS = 60.0
"""After which what was recorded is handed over, or when it is :data:`bench.run.parts.MAX_SAMPLES`."""
IN_USE = "is in use"


class Mirror:
    """What a run's store hands over to its remote folder; one writes at a time, on one machine by a lock, elsewhere by
    the number of the next part, which only one can create.

    Args:
        pulled: how the working folder was made.
    """

    def __init__(self, pulled: Pulled) -> None:
        self.remote, self.folder = pulled.remote, pulled.folder
        self._pulled, self._parts, self._events, self._is_new = pulled, pulled.parts, pulled.events, pulled.is_new
        self._touched, self._info = set(pulled.surplus), pulled.info
        self._last = time.monotonic()

    def send_pictures(self, samples: Iterable[dict[str, Any]]) -> None:
        """Those that are to be recorded."""
        names = [str(one["image"]) for one in samples if one.get("image")]
        self.remote.send((name, self.folder / name) for name in names)

    def touched(self, keys: Iterable[SampleKey]) -> None:
        """The records of these samples are others now; once in a while hand them over."""
        self._touched.update(keys)
        if len(self._touched) >= MAX_SAMPLES or time.monotonic() > self._last + SECONDS:
            self.flush()

    def flush(self) -> None:
        """Hand over what is recorded and not in the remote folder.

        Raises:
            InputError: another command has written there. ConnectionError: the remote folder does not answer; what this
                machine holds is handed over when it goes on.
        """
        with closing(sqlite3.connect(self.folder / DATABASE)) as database:
            query = "SELECT at, what FROM events WHERE rowid > ? ORDER BY rowid"
            events = database.execute(query, (self._events,)).fetchall()
            while self._touched or events:
                keys = list(islice(self._touched, MAX_SAMPLES))
                self._add(part_of(database, sorted(keys), events))
                self._touched.difference_update(keys)
                self._events, events = self._events + len(events), []
        self._last = time.monotonic()

    def save(self) -> None:
        """Hand over all records, and behind them run.json where it is another than in the remote folder."""
        content = (self.folder / FILE).read_bytes()
        if self._is_new:
            if not self.remote.create(FILE, content):
                raise _others(self.remote)
            self._is_new = False
            self._has_info(content)
            return
        if (self.folder / DATABASE).exists():
            self.flush()
        if hashlib.sha256(content).hexdigest() == self._info:
            return
        if self.remote.has(part_name(self._parts + 1)):
            raise _others(self.remote)
        self.remote.write(FILE, content)
        self._has_info(content)

    def _has_info(self, content: bytes) -> None:
        self._info = hashlib.sha256(content).hexdigest()
        self._pulled.note(self._parts, self._info)

    def _add(self, content: bytes) -> None:
        if not self.remote.create(part_name(self._parts + 1), content):
            raise _others(self.remote)
        self._parts += 1
        self._pulled.note(self._parts, self._info)
        if (self.folder / ERRORS).is_file():
            self.remote.send([(ERRORS, self.folder / ERRORS)])


def _others(remote: RemoteFolder) -> InputError:
    what = "another command has written there meanwhile; when it is done, the same command goes on"
    return InputError(what, file=remote)


_OPEN: dict[Path, Mirror] = {}
_REMOTES: dict[Path, RemoteFolder] = {}


def mirror_of(folder: Path) -> Mirror | None:
    """Of a working folder that this process has open to write."""
    return _OPEN.get(folder)


def shown(folder: Path) -> Path | RemoteFolder:
    """What a reader should be told of a run: the remote folder of a working folder that was opened here, else the
    folder."""
    return _REMOTES.get(folder, folder)


@contextmanager
def writing(remote: RemoteFolder) -> Iterator[Path]:
    """The working folder of a run in a remote folder, to make the run or go on with it; stores that are opened in it
    hand over.

    Raises:
        InputError: the remote folder holds something else, cannot be used, or a command of this machine works on it.
        ConnectionError: it does not answer.
    """
    home = home_of(remote)
    with _in_remote(remote), closing(lock_file(home)):
        mirror = Mirror(pull(remote, home, may_be_new=True))
        _OPEN[mirror.folder], _REMOTES[mirror.folder] = mirror, remote
        try:
            yield mirror.folder
        finally:
            _OPEN.pop(mirror.folder, None)


def reading(remote: RemoteFolder, pictures: bool = True, again: bool = False) -> Path:
    """The working folder of a run in a remote folder, to read: as the remote folder is now, or as a command of this
    machine has it that is writing. again: every picture is fetched, also what is here.

    Raises:
        InputError: there is no run, or it cannot be read. ConnectionError: the remote folder does not answer.
    """
    home, folder = home_of(remote), folder_of(remote)
    _REMOTES[folder] = remote
    with _in_remote(remote):
        try:
            lock = lock_file(home)
        except InputError as error:
            if not again and error.what.startswith(IN_USE) and (folder / FILE).exists():
                return folder
            raise
        with closing(lock):
            pull(remote, home, pictures=pictures, again=again)
    return folder


@contextmanager
def removing(remote: RemoteFolder) -> Iterator[Path]:
    """The working folder of a run in a remote folder, without its pictures, while no command of this machine works on
    it; it is gone afterwards.

    Raises:
        InputError: there is no run, it cannot be read, or it is in use. ConnectionError: the remote folder does not
            answer.
    """
    home = home_of(remote)
    with _in_remote(remote), closing(lock_file(home)):
        pull(remote, home, pictures=False)
        yield folder_of(remote)
        shutil.rmtree(home)


@contextmanager
def _in_remote(remote: RemoteFolder) -> Iterator[None]:
    """Errors name the remote folder, not its working folder."""
    home, folder = str(home_of(remote)), str(folder_of(remote))
    try:
        yield
    except InputError as error:
        file = str(error.file or "").replace(folder, remote.url).replace(home, remote.url)
        what = error.what.replace(folder, remote.url)
        raise InputError(what, file=file or None, field=error.field) from None
