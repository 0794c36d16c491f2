"""Checks an untrusted SQLite file before SQLite opens it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from amdm.errors import InputError

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


def check_untrusted_sqlite(path: Path) -> None:
    """Whether ``path`` (which may be absent) can be opened: SQLite trusts what lies beside a database.

    A pipe is waited for without end. A rollback journal may name a super-journal, any file of the user's, which SQLite
    deletes when it has rolled back (https://www.sqlite.org/fileformat.html, section 3); ours come from one database
    and never name one. What belongs to another journal mode is not ours either.

    Raises:
        InputError: naming the file.
    """
    journal = path.with_name(f"{path.name}-journal")
    for one in path.parent.glob(f"{path.name}*"):
        try:
            mode = one.lstat().st_mode
        except FileNotFoundError:  # another process ended its transaction
            continue
        if not stat.S_ISREG(mode):
            raise InputError("is not a regular file", file=one)
        if one.name in (f"{path.name}-wal", f"{path.name}-shm"):
            raise InputError("is of a journal mode that is not used here", file=one)
    if _names_another(journal):
        raise InputError("names another file, which SQLite would delete", file=journal)


def _names_another(journal: Path) -> bool:
    """As SQLite finds it: the magic at the very end, before it the length of the name."""
    try:
        with journal.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 16))
            end = file.read(16)
    except FileNotFoundError:
        return False
    return end[8:] == _JOURNAL_MAGIC and 0 < int.from_bytes(end[:4], "big") < size - 16
