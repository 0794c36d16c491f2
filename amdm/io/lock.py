"""Who writes into a folder: one process at a time."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Any

from amdm.errors import InputError


def lock_file(folder: Path) -> Any:
    """Its file ``lock``, open, and locked until it is closed. Raises InputError where another has it, naming who."""
    file = (folder / "lock").open("a+", encoding="utf-8", errors="replace")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_still(file, folder / "lock"):
            raise FileNotFoundError(2, "another process removes the folder")
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise InputError(f"is in use by {holder}", file=folder) from None
    except OSError as error:  # a file system that knows no locks, say
        file.close()
        raise InputError(f"cannot be locked: {error.strerror}", file=folder) from error
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def _is_still(file: Any, path: Path) -> bool:
    """Whether an open file lies there under its name: who removes a run takes its lock with it."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
