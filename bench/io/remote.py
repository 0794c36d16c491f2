"""Remote folders that fsspec reaches by a URL (s3://bucket/name): whole objects listed, read and written, many at once.

Credentials are those that fsspec's package for such remote folders finds by itself (environment, its own files); they
are not taken from a URL, and what its errors say is not shown, which may quote them.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from amdm.errors import InputError

BATCH_SIZE = 256
"""Objects that are asked for before the next are; fsspec itself decides how many at a time."""
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]+)(/.*)?", re.IGNORECASE)
_LOCAL = ("file", "local")
_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE)
"""Errors that are not the remote folder's, whatever file they name: a full disk."""
_DECIDES = ("s3", "s3a")
"""Whose stores refuse to write over an object when asked; of the others' packages some do not ask."""
_EXTRAS = {"s3": "pip install 'amdm[s3]'", "s3a": "pip install 'amdm[s3]'"}


def is_url(text: object) -> bool:
    """Whether a text names a remote folder, not a local file or folder."""
    return isinstance(text, str) and "://" in text


def local_or_remote(named: Path | str) -> Path | RemoteFolder:
    """What a text names; a path is local. Raises InputError as :meth:`RemoteFolder.parse`."""
    return RemoteFolder.parse(str(named)) if is_url(named) else Path(named)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder somewhere. url: without a slash at the end. Names are those of objects below it, parts between "/".

    Every method raises InputError, naming the remote folder, where something is absent or not permitted, and
    ConnectionError where the remote folder does not answer or fails.
    """

    url: str

    @classmethod
    def parse(cls, text: str) -> RemoteFolder:
        """Raises InputError, which does not repeat the text, where it is no URL of a remote folder or holds
        credentials."""
        found = _URL.fullmatch(text.rstrip("/"))
        if found is None or not text.isprintable() or "::" in text or {".", ".."} & set(text.split("/")):
            raise InputError("is not the URL of a remote folder, as s3://bucket/name is", field="url")
        if found[1].lower() in _LOCAL:
            raise InputError("is a local folder: name it by its path", field="url")
        if "@" in found[2] or "?" in text or "#" in text:
            what = "holds credentials or a query; a URL is recorded and shown: let the environment say them"
            raise InputError(what, field="url")
        return cls(text.rstrip("/"))

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self.url.rpartition("/")[2]

    def __str__(self) -> str:
        return self.url

    def below(self, name: str) -> RemoteFolder:
        """The folder of that name in it. Raises InputError as :meth:`parse`, for ".." or such."""
        if not name or "/" in name:
            raise InputError(f"{name!r} is not a name of a folder", file=self.url)
        return RemoteFolder.parse(f"{self.url}/{name}")

    @property
    def _decides(self) -> bool:
        return self.url.partition("://")[0].lower() in _DECIDES

    @cached_property
    def _files(self) -> Any:
        import fsspec  # the command lines start without it

        protocol = self.url.partition("://")[0].lower()
        try:
            return fsspec.filesystem(protocol)
        except ValueError:
            raise InputError(f"{protocol!r} is not a kind of place that fsspec knows", file=self.url) from None
        except ImportError as error:
            hint = _EXTRAS.get(protocol, str(error))
            raise InputError(f"needs a package that is not installed: {hint}", file=self.url) from None

    @property
    def _root(self) -> str:
        return str(self._files._strip_protocol(self.url))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def sizes(self) -> dict[str, int]:
        """Bytes of every object below, by name in order; empty where there is none."""
        with self._told():
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._root, detail=True)
            except FileNotFoundError:
                self._check_outermost()
                return {}
            if not found:
                self._check_outermost()
        inside = len(self._root) + 1
        return {path[inside:]: int(found[path]["size"] or 0) for path in sorted(found) if len(path) > inside}

    def _check_outermost(self) -> None:
        """A bucket that is not there is an error, a folder in it without objects is none."""
        self._files.ls(self._root.split("/")[0])

    def folders(self) -> list[str]:
        """Names of the folders directly in it."""
        with self._told():
            self._files.invalidate_cache()
            found = self._files.ls(self._root, detail=True)
        return sorted(one["name"].rstrip("/").rpartition("/")[2] for one in found if one["type"] == "directory")

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        with self._told():
            self._files.invalidate_cache()
            return bool(self._files.exists(self._at(name)))

    def read(self, name: str, most: int) -> bytes:
        """The content of an object of at most ``most`` bytes; one that has more raises InputError."""
        with self._told(name):
            self._files.invalidate_cache()
            if self._files.info(self._at(name))["size"] > most:
                raise InputError(f"has more than {most} bytes", file=f"{self.url}/{name}")
            return bytes(self._files.cat_file(self._at(name)))

    def write(self, name: str, content: bytes) -> None:
        """In place of what was there."""
        with self._told(name):
            self._files.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Whether there was no object of that name, and now is. Where the store can, it decides (S3: If-None-Match),
        else it is looked for before."""
        try:
            with self._told(name):
                if not self._decides and self.has(name):
                    return False
                self._files.pipe_file(self._at(name), content, mode="create")
        except FileExistsError:
            return False
        return True

    def fetch(self, wanted: Iterable[tuple[str, Path]]) -> Iterator[int]:
        """Write objects into local files whose folders are there; yields how many, some at a time."""
        for names, paths in _some(wanted):
            with self._told():
                self._files.get([self._at(name) for name in names], [str(path) for path in paths])
            yield len(names)

    def send(self, files: Iterable[tuple[str, Path]]) -> None:
        """Write local files under these names."""
        for names, paths in _some(files):
            with self._told():
                self._files.put([str(path) for path in paths], [self._at(name) for name in names])

    def remove(self, names: Iterable[str]) -> None:
        """Objects of these names, in this order."""
        if {"*", "["} & set(self.url):  # fsspec would take it for a pattern
            raise InputError("has * or [ in its URL: remove its objects by the storage's own tools", file=self.url)
        for part, _ in _some((name, Path(name)) for name in names):
            with self._told():
                self._files.rm([self._at(name) for name in part])

    @contextmanager
    def _told(self, name: str = "") -> Iterator[None]:
        """Errors of whatever package reaches the remote folder, as ours."""
        where = f"{self.url}/{name}" if name else self.url
        try:
            yield
        except (InputError, FileExistsError):
            raise
        except Exception as error:
            kind = type(error).__name__
            if isinstance(error, FileNotFoundError):
                raise InputError("is absent", file=where) from None
            if isinstance(error, PermissionError) or "Credentials" in kind or "Token" in kind:
                raise InputError(f"is not permitted with the credentials found here ({kind})", file=where) from None
            ours = isinstance(error, OSError) and error.filename is not None and not is_url(str(error.filename))
            if ours or getattr(error, "errno", None) in _OF_THIS_MACHINE:
                raise
            raise ConnectionError(f"{where}: cannot be reached, or fails ({kind})") from None


def _some(pairs: Iterable[tuple[str, Path]]) -> Iterator[tuple[Sequence[str], Sequence[Path]]]:
    waiting = iter(pairs)
    while part := list(islice(waiting, BATCH_SIZE)):
        yield [name for name, _ in part], [path for _, path in part]
