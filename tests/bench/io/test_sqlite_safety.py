from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.io.sqlite_safety import check_untrusted_sqlite
from bench.run.read import read_table
from bench.run.store import RunStore
from tests.bench.fakes import run_settings

MAGIC = bytes.fromhex("d9d505f920a163d7")


def trap(database: Path, victim: Path) -> None:
    """Put a rollback journal beside a database that names ``victim`` as its super-journal, as SQLite writes them."""
    size = struct.unpack(">H", database.read_bytes()[16:18])[0]
    header = MAGIC + struct.pack(">IIIII", 0, 12345, database.stat().st_size // size, 512, size)
    name = os.fsencode(victim)
    end = struct.pack(">I", 0x40000000 // size + 1) + name + struct.pack(">II", len(name), sum(name)) + MAGIC
    journal = database.with_name(f"{database.name}-journal")
    journal.unlink(missing_ok=True)
    journal.write_bytes(header.ljust(512, b"\0") + end)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    RunStore(tmp_path / "run", run_settings()).__exit__()
    return tmp_path / "run"


def test_sqlite_would_delete_what_such_a_journal_names(run: Path, tmp_path: Path) -> None:
    """Shows that the trap is one: else the tests below would show nothing."""
    victim = tmp_path / "thesis.txt"
    victim.write_text("mine")
    trap(run / "run.sqlite", victim)
    with sqlite3.connect(run / "run.sqlite") as database:
        database.execute("SELECT * FROM sqlite_master").fetchall()
    assert not victim.exists()


def test_a_journal_cannot_have_a_file_deleted(run: Path, tmp_path: Path) -> None:
    victim = tmp_path / "thesis.txt"
    victim.write_text("mine")
    trap(run / "run.sqlite", victim)
    for use in (lambda: read_table(run, "samples"), lambda: RunStore(run, run_settings())):
        with pytest.raises(InputError, match=r"run\.sqlite-journal: names another file"):
            use()
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["run.sqlite-journal", "run.sqlite-wal", "lock", "run.json.partial"])
def test_a_pipe_is_never_waited_for(run: Path, name: str) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with pytest.raises(InputError, match=f"{name}: is not a regular file"):
        RunStore(run, run_settings())
    if name.startswith("run.sqlite"):
        with pytest.raises(InputError, match=f"{name}: is not a regular file"):
            read_table(run, "samples")


def test_what_a_killed_process_leaves_is_no_trap(run: Path) -> None:
    journal = run / "run.sqlite-journal"
    for content in (b"", MAGIC, MAGIC.ljust(512, b"\0"), bytes(8) + MAGIC, MAGIC * 64):
        journal.write_bytes(content)
        check_untrusted_sqlite(run / "run.sqlite")
    journal.unlink()
    (run / "run.sqlite-shm").touch()
    with pytest.raises(InputError, match="is of a journal mode that is not used here"):
        check_untrusted_sqlite(run / "run.sqlite")
