"""Fetching from a server on this machine that answers as the Hub does; and from a Drive that refuses."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from urllib3.response import HTTPResponse

from amdm.checkpoints.catalogue import file_named, files_of
from amdm.checkpoints.fetch import FetchError, fetch
from amdm.checkpoints.weights_folder import read_lock
from amdm.errors import InputError

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
        announced = hashlib.sha256(data).hexdigest()
        if self.faults.get("tampered"):
            data = data[::-1]  # of the same size: only the digest tells
        start, total = 0, len(data)
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(total - start))
        self.send_header("ETag", f'"{announced}"')
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
    command = [sys.executable, "-m", "amdm", "weights", *arguments, "--weights-dir", str(folder / "w")]
    return subprocess.run(command, env={**os.environ, **own, **more}, capture_output=True, text=True, timeout=1200)


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
    size, before = path.stat().st_size, path.stat()
    assert amdm(hub, tmp_path, "list", "--profile", "gligen", "--verify").stdout.count("there, verified") == len(FILES)
    path.write_bytes(b"x" * size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # only the digest tells
    assert amdm(hub, tmp_path, "list", "--profile", "gligen").returncode == 0
    verified = amdm(hub, tmp_path, "list", "--profile", "gligen", "--verify")
    assert verified.returncode == 2 and f"wrong: {FILES[0].name}\n" in verified.stderr
    path.write_bytes(b"tampered")
    again = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    assert again.returncode == 2 and "as first seen" in again.stderr and path.read_bytes() == b"tampered"


def test_what_is_not_what_the_hub_announced_is_not_kept(hub: Any, tmp_path: Path) -> None:
    hub.faults["tampered"] = True
    done = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    assert done.returncode == 2 and "as published" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "w" / FILES[0].place).exists() and not read_lock(tmp_path / "w")
    hub.faults.clear()
    assert amdm(hub, tmp_path, "fetch", "--profile", "gligen").returncode == 0


def test_a_known_digest_is_asked_of_files_that_came_by_hand(tmp_path: Path) -> None:
    one = file_named("vae-ft-mse")
    assert one.sha256
    (tmp_path / one.place).parent.mkdir(parents=True)
    (tmp_path / one.place).write_bytes(b"another file")
    with pytest.raises(InputError, match="as published"):
        fetch([one], tmp_path, lambda line: None)
    assert (tmp_path / one.place).read_bytes() == b"another file" and not read_lock(tmp_path)


def test_once_recorded_the_commit_is_asked_for_again(hub: Any, tmp_path: Path) -> None:
    assert amdm(hub, tmp_path, "fetch", "--profile", "gligen").returncode == 0
    one = file_named("gligen-unet")
    (tmp_path / "w" / one.place).unlink()
    hub.asked.clear()
    assert amdm(hub, tmp_path, "fetch", "--profile", "gligen").returncode == 0
    assert hub.asked and all(f"/resolve/{COMMIT}/" in path for _, path, _ in hub.asked)


def test_nothing_is_written_through_a_link_out_of_the_folder(hub: Any, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "w" / FILES[0].place.parts[0]).symlink_to(tmp_path / "elsewhere")
    done = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    assert done.returncode == 2 and "link out of the weights folder" in done.stderr
    assert not hub.asked and not list((tmp_path / "elsewhere").iterdir())


def test_a_full_disk_is_told_before_anything_is_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = file_named("ip-adapter")
    known = SimpleNamespace(commit_hash=COMMIT, etag="", size=10**15)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda url: known)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *a, **b: pytest.fail("was brought"))
    with pytest.raises(InputError, match=r"bytes are free; ip-adapter needs 1,000,001,073,741,824"):
        fetch([one], tmp_path, lambda line: None)


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as held:  # a port that nobody listens at
        held.bind(("127.0.0.1", 0))
        hub = SimpleNamespace(url=f"http://127.0.0.1:{held.getsockname()[1]}")
        done = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("error: ") and FILES[0].name in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusals_are_one_line(hub: Any, tmp_path: Path, status: int) -> None:
    hub.faults["status"] = status  # at 500 and more the library tries for 23 s
    done = amdm(hub, tmp_path, "fetch", "--profile", "gligen")
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("error: ") and FILES[0].name in last
    assert "Traceback" not in done.stderr


def test_offline_mode_is_honoured(hub: Any, tmp_path: Path) -> None:
    done = amdm(hub, tmp_path, "fetch", "--profile", "gligen", HF_HUB_OFFLINE="1")
    assert done.returncode == 1 and "offline" in done.stderr.lower() and not hub.asked


@pytest.mark.parametrize(
    "page",
    [
        '<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>',
        "<html><body>Sign in to continue</body></html>",
    ],
)
def test_when_drive_refuses_the_way_by_hand_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    answer_as_drive(monkeypatch, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
    one = file_named("migc")
    with pytest.raises(FetchError) as found:
        fetch([one], tmp_path, lambda line: None)
    assert one.drive_id in str(found.value) and str(tmp_path / one.place) in str(found.value)
    assert len(str(found.value).splitlines()) == 1
    assert not (tmp_path / one.place).exists() and not read_lock(tmp_path)


def test_drive_gives_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="a.ckpt"'}
    answer_as_drive(monkeypatch, b"weights", {**headers, "Content-Length": "7"})
    one = file_named("migc")
    fetch([one], tmp_path, lambda line: None)
    assert (tmp_path / one.place).read_bytes() == b"weights" and read_lock(tmp_path)[str(one.place)].size == 7


def test_where_drive_refuses_an_earlier_upload_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, asked, told = file_named("migc"), list[str](), list[str]()
    assert one.older_drive_id == "1v5ik-94qlfKuCx-Cv1EfEkxNBygtsz0T"

    def download(id: str, output: str, resume: bool) -> str | None:
        asked.append(id)
        if id == one.drive_id:
            raise OSError("too many users")
        Path(output).write_bytes(b"weights")
        return output

    monkeypatch.setattr("gdown.download", download)
    fetch([one], tmp_path, told.append)
    assert asked == [one.drive_id, one.older_drive_id] and (tmp_path / one.place).read_bytes() == b"weights"
    assert f"too many users; an earlier upload is tried: Google Drive {one.older_drive_id}" in told[1]


def answer_as_drive(monkeypatch: pytest.MonkeyPatch, body: bytes, headers: dict[str, str]) -> None:
    """Let the HTTP client under gdown hear this from Google Drive, and from nowhere else."""

    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        assert request.url and request.url.startswith("https://drive.google.com/")
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers = requests.structures.CaseInsensitiveDict(headers)
        response.raw = HTTPResponse(io.BytesIO(body), headers=headers, status=200, preload_content=False)
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
