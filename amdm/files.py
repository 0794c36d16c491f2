"""Files that may come from strangers: read whole and with a limit, or hashed in pieces."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from amdm.errors import InputError


def read_limited(path: Path, most: int) -> bytes:
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


def read_json(path: Path, most: int) -> Any:
    """A JSON value of at most ``most`` bytes. Raises InputError as :func:`read_limited`, and for what is not JSON."""
    content = read_limited(path, most)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError("cannot be read as JSON", file=path) from error


def sha256(path: Path) -> str:
    """Of a file of any size, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
