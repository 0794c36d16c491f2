"""Fetching from a server on this machine that answers as the Hub does; and from a Drive that refuses."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from amdm.checkpoints.catalogue import file_named, files_of
from amdm.checkpoints.fetch import FetchError, fetch
from amdm.checkpoints.store import read_lock

COMMIT = "c" * 40
FILES = files_of("gligen")


class Hub(BaseHTTPRequestHandler):
    """``/<repository>/resolve/<revision>/<path>`` with ranges; what a test wants to go wrong stands in ``faults``."""

    content: dict[str, bytes]
    asked: list[tuple[str, str, str | None]]
    faults: dict[str, Any]

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, body: bool) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Range")))
        if status := self.faults.get("status"):
            self.send_response(status)
            self.end_headers()
            return
        data = self.content[self.path.partition("/resolve/")[2].partition("/")[2]]
        start, total = 0, len(data)
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(total - start))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body and self.faults.pop("cut", False):
            self.wfile.write(data[start : start + (total - start) // 2])
            self.wfile.flush()
            self.connection.close()
        elif body:
            self.wfile.write(data[start:])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub() -> Iterator[type[Hub]]:
    handler = type("OwnHub", (Hub,), {"asked": [], "faults": {}})
    handler.content = {one.path: one.name.encode() * 40_000 for one in FILES}
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


def amdm(hub: Any, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of its own: huggingface_hub reads its environment when it is imported."""
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*"}
    command = [sys.executable, "-m", "amdm.cli", "weights", *arguments, "--weights-dir", str(folder / "w")]
    return subprocess.run(command, env={**os.environ, **own, **more}, capture_output=True, text=True, timeout=120)


def test_files_come_are_recorded_and_are_not_brought_twice(hub: Any, tmp_path: Path) -> None:
    dry = amdm(hub, tmp_path, "fetch", "--profile", "gligen", "--dry-run")
    assert dry.returncode == 0 and dry.stdout.count("to be brought") == len(FILES) and not hub.asked
    done = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    assert done.returncode == 0, done.stderr
    lock = read_lock(tmp_path / "w")
    for one in FILES:
        assert (tmp_path / "w" / one.place).read_bytes() == hub.content[one.path]
        assert lock[str(one.place)].commit == (one.revision if one.pinned else COMMIT)
    asked = [path for _, path, _ in hub.asked]
    assert all(f"/resolve/{one.revision}/" in " ".join(asked) for one in FILES)
    hub.asked.clear()
    assert amdm(hub, tmp_path, "fetch", "--profile", "gligen").returncode == 0 and not hub.asked
    shown = amdm(hub, tmp_path, "list", "--profile", "gligen").stdout
    assert shown.count(": there, ") == len(FILES) and COMMIT in shown


def test_a_cut_connection_resumes(hub: Any, tmp_path: Path) -> None:
    hub.content[FILES[0].path] = bytes(range(256)) * 100_000  # the library writes 10 MB at a time
    hub.faults["cut"] = True
    first = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    if first.returncode != 0:  # the library gave up, and the same command goes on
        assert first.returncode == 1 and len(first.stderr.strip().splitlines()[-1]) > 0
        assert amdm(hub, tmp_path, "fetch", "--profile", "gligen").returncode == 0
    assert any(wanted for method, _, wanted in hub.asked if method == "GET"), "started from the beginning"
    assert all((tmp_path / "w" / one.place).read_bytes() == hub.content[one.path] for one in FILES)


def test_a_file_that_changed_is_refused_and_not_replaced(hub: Any, tmp_path: Path) -> None:
    assert amdm(hub, tmp_path, "fetch", "--profile", "gligen").returncode == 0
    path = tmp_path / "w" / FILES[0].place
    path.write_bytes(b"tampered")
    again = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    assert again.returncode == 2 and "as first seen" in again.stderr and path.read_bytes() == b"tampered"


@pytest.mark.parametrize("status", [401, 404, 500])
def test_refusals_are_one_line(hub: Any, tmp_path: Path, status: int) -> None:
    hub.faults["status"] = status
    done = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("error: ") and FILES[0].name in last
    assert "Traceback" not in done.stderr


def test_offline_mode_is_honoured(hub: Any, tmp_path: Path) -> None:
    done = amdm(hub, tmp_path, "fetch", "--profile", "gligen", HF_HUB_OFFLINE="1")
    assert done.returncode == 1 and "offline" in done.stderr.lower() and not hub.asked


def test_when_drive_refuses_the_way_by_hand_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("Cannot retrieve the public link of the file.\nYou may need to change the permission")

    monkeypatch.setattr("gdown.download", refuse)
    one = file_named("migc")
    with pytest.raises(FetchError) as found:
        fetch([one], tmp_path, lambda line: None)
    assert one.drive_id in str(found.value) and str(tmp_path / one.place) in str(found.value)

    def give(output: str, **_: object) -> str:
        Path(output).write_bytes(b"weights")
        return output

    monkeypatch.setattr("gdown.download", give)
    fetch([one], tmp_path, lambda line: None)
    assert read_lock(tmp_path)[str(one.place)].size == 7
