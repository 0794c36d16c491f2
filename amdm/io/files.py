"""Files: untrusted ones read with a limit or hashed in pieces; own ones written atomically."""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE
from typing import Any

from amdm.errors import InputError


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a file of at most ``most`` bytes.

    Raises:
        InputError: it is absent, no regular file (a pipe can be read for ever), larger, or cannot be read.
    """
    try:
        if not path.exists():
            raise FileNotFoundError(2, "is absent")
        if not path.is_file():
            raise OSError(0, "is not a file")
        if path.stat().st_size > most:
            raise OSError(0, f"has more than {most} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputError(error.strerror or "cannot be read", file=path) from error
    except ValueError as error:  # a name that holds NUL
        raise InputError("cannot be a file's name", file=path) from error


def read_text(path: Path, most: int) -> str:
    """A text of at most ``most`` bytes: UTF-8 with or without a byte-order mark, or UTF-16 with one, as Windows writes.

    Raises:
        InputError: as :func:`read_bytes`, and for what is no such text.
    """
    content = read_bytes(path, most)
    try:
        return decoded(content)
    except ValueError:
        raise InputError("not UTF-8 text (nor UTF-16 with a byte-order mark)", file=path) from None


def decoded(content: bytes) -> str:
    """See :func:`read_text`. Raises ValueError for what is no such text."""
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(content) > 2  # a mark alone is none
    return content.decode("utf-16" if utf16 else "utf-8-sig")


def lines_of(text: str) -> list[str]:
    """Lines as a file has them, ended by LF, CR LF or CR; :meth:`str.splitlines` also cuts at U+2028 or a form feed.

    >>> lines_of("a\\u2028b\\r\\nc\\n")
    ['a\\u2028b', 'c']
    """
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if not lines[-1] else lines


def read_json(path: Path, most: int) -> Any:
    """A JSON value of at most ``most`` bytes. Raises InputError as :func:`read_bytes`, and for what is not JSON."""
    content = read_bytes(path, most)
    try:
        return json.loads(decoded(content))
    except (ValueError, RecursionError) as error:
        raise InputError("cannot be read as JSON", file=path) from error


def sha256(path: Path) -> str:
    """Of a file of any size, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> Path:
    """The folder, made with those around it. Raises InputError where it cannot be (but OSError for a full disk)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"cannot be a folder: {error.strerror}", file=path) from error
    except ValueError as error:  # a name that holds NUL
        raise InputError("cannot be a folder's name", file=path) from error
    return path


def user_cache(name: str) -> Path:
    """Where a file or folder of this package lies in the user's cache: XDG_CACHE_HOME, else ``~/.cache``.

    Raises:
        InputError: there is neither, nor a home.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "amdm" / name
    except RuntimeError:
        raise InputError("this user has no home; it says where files are kept", field="XDG_CACHE_HOME") from None


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` at the end: what is stopped leaves no half of a folder there.

    Raises:
        InputError: ``path`` is there already and is not an empty folder, or cannot be made.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError("is there already, and is not empty", file=path)
    path = path.resolve()
    partial = path.with_name(f".{path.name}.amdm-partial")
    if partial.exists():
        shutil.rmtree(partial)
    yield make_folder(partial)
    partial.replace(path)


@contextmanager
def usual_permissions(path: Path) -> Iterator[None]:
    """A file that is written inside has those of any new one there; safetensors gives its files to their owner alone,
    and folders of weights are shared."""
    existed = path.exists()
    path.touch()
    mode = S_IMODE(path.stat().st_mode)
    try:
        yield
        path.chmod(mode)
    except BaseException:
        if not existed:
            path.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, content: bytes) -> None:
    """Write so that ``path`` holds all of the content or what it held before."""
    temporary = path.with_name(path.name + ".partial")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or a power failure may take the new name
    finally:
        os.close(folder)
