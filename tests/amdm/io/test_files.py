from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from amdm.errors import InputError
from amdm.io.files import read_bytes, read_json, read_text, sha256, user_cache, usual_permissions, write_atomic


def test_a_file_is_read_up_to_its_limit_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    assert sha256(path) == hashlib.sha256(b"12345").hexdigest()
    with pytest.raises(InputError, match="f: has more than 4 bytes"):
        read_bytes(path, 4)


def test_what_is_no_file_is_one_line_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, what in (
        (tmp_path / "none", "is absent"),
        (tmp_path, "is not a file"),
        (tmp_path / "pipe", "is not a file"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "a\0b", "cannot be a file's name|is absent"),
    ):
        with pytest.raises(InputError, match=what):
            read_bytes(path, 10)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_as_windows_writes_it_too(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "f").write_bytes('{"é猫": 1}\r\n'.encode(encoding))
    assert read_text(tmp_path / "f", 100) == '{"é猫": 1}\r\n'
    assert read_json(tmp_path / "f", 100) == {"é猫": 1}


@pytest.mark.parametrize("content", [b"\xff", b"\xff\xfe\x00", b"\xfe\xff\xd8\x00", "é".encode("latin-1")])
def test_what_is_no_text_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InputError, match="f: not UTF-8 text"):
        read_text(tmp_path / "f", 100)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InputError, match="f: cannot be read as JSON"):
        read_json(tmp_path / "f", 10**6)


def test_files_of_libraries_can_be_read_by_whoever_reads_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        with usual_permissions(path):
            path.unlink()
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        with pytest.raises(ZeroDivisionError), usual_permissions(tmp_path / "other"):
            raise ZeroDivisionError
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640 and os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "file", b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "file", b"after")
    assert (tmp_path / "file").read_bytes() == b"before"


def test_the_users_cache_is_where_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache("weights") == tmp_path / "amdm" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_cache("weights") == tmp_path / "home" / ".cache" / "amdm" / "weights"

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(InputError, match="XDG_CACHE_HOME: this user has no home"):
        user_cache("weights")
