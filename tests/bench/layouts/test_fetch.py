"""Fetching: contents are checked, nothing is overwritten, nothing is left half written."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.layouts import fetch
from bench.layouts.named import COCO_MIG_FILES


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Made-up files behind the real paths."""
    contents = {source.url: source.path.encode() for source in fetch.SOURCES}
    fakes = tuple(source._replace(sha256=hashlib.sha256(contents[source.url]).hexdigest()) for source in fetch.SOURCES)
    monkeypatch.setattr(fetch, "SOURCES", fakes)
    return contents


@pytest.fixture
def served(content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A server on this machine with those files; what a test puts in its place is served instead."""
    files = {"/" + source.path: content[source.url] for source in fetch.SOURCES}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in files else 404)
            self.end_headers()
            self.wfile.write(files.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            """Not among the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(fetch, "SOURCES", tuple(one._replace(url=host + one.path) for one in fetch.SOURCES))
    yield files
    server.shutdown()
    server.server_close()


def test_fetches_from_a_server_and_stops_at_what_is_not_the_recorded_file(
    tmp_path: Path, content: dict[str, bytes], served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = fetch.fetch_layouts(tmp_path / "good")
    assert [path.read_bytes() for path in paths] == list(content.values())
    served["/migc/mig_bench.txt"] = b"changed"
    with pytest.raises(InputError, match=r"migc/mig_bench\.txt: SHA-256 is"):
        fetch.fetch_layouts(tmp_path / "changed")
    del served["/migc/mig_bench.txt"]
    with pytest.raises(InputError, match=r"cannot be fetched .*404"):
        fetch.fetch_layouts(tmp_path / "gone")
    assert [path.name for path in (tmp_path / "gone").rglob("*") if path.is_file()] == ["mig_bench.json"]
    monkeypatch.setattr(fetch, "MAX_BYTES", 4)
    assert len(fetch.download(fetch.SOURCES[0].url)) == 5  # endless answers are cut, and fail the check


def test_fetches_what_is_absent(tmp_path: Path, content: dict[str, bytes]) -> None:
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return content[url]

    paths = fetch.fetch_layouts(tmp_path, get)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [source.path for source in fetch.SOURCES]
    assert set(COCO_MIG_FILES.values()) <= {source.path for source in fetch.SOURCES}
    assert [path.read_bytes() for path in paths] == list(content.values())
    assert fetch.fetch_layouts(tmp_path, get) == paths and len(asked) == 3


def test_wrong_content_is_refused(tmp_path: Path, content: dict[str, bytes]) -> None:
    with pytest.raises(InputError, match="SHA-256 is"):
        fetch.fetch_layouts(tmp_path, lambda url: b"something else")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mig_bench.json").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"mig_bench\.json: SHA-256 is"):
        fetch.fetch_layouts(tmp_path, content.__getitem__)
    assert (tmp_path / "mig_bench.json").read_bytes() == b"mine"


def test_no_connection(tmp_path: Path) -> None:
    def get(url: str) -> bytes:
        raise OSError("unreachable")

    with pytest.raises(InputError, match=r"cannot be fetched \(unreachable\); put the file at"):
        fetch.fetch_layouts(tmp_path, get)


def test_public_files_have_the_recorded_sums(coco_mig_dir: Path) -> None:
    for source in fetch.SOURCES:
        assert hashlib.sha256((coco_mig_dir / source.path).read_bytes()).hexdigest() == source.sha256, source.path
        assert source.url.startswith("https://raw.githubusercontent.com/")
