"""What stands before the server, and what the command says where gradio is absent."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Any

import pytest
from typer.testing import CliRunner

from amdm.cli.main import app
from amdm.errors import InputError
from amdm.studio.guard import MAX_REQUEST_BYTES, Guard, TooLarge, refused
from tests.conftest import needs


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {b"host": b"127.0.0.1:7860"}, 0),
        ("/", {b"host": b"localhost"}, 0),
        ("/", {b"host": b"[::1]:7860"}, 0),
        ("/", {b"host": b"evil.example:7860"}, 403),
        ("/", {b"host": b"127.0.0.1.evil.example"}, 403),
        ("/", {}, 403),
        ("/", {b"host": b"127.0.0.1:7860", b"origin": b"http://127.0.0.1:7860"}, 0),
        ("/", {b"host": b"127.0.0.1:7860", b"origin": b"http://evil.example"}, 403),
        ("/", {b"host": b"127.0.0.1:7860", b"origin": b"http://127.0.0.1:8000"}, 403),
        ("/", {b"host": b"127.0.0.1:7860", b"origin": b"null"}, 403),
        ("/gradio_api/queue/join", {b"host": b"localhost:1", b"content-length": b"100"}, 0),
        ("/gradio_api/queue/join", {b"host": b"localhost:1", b"content-length": b"99999999"}, 413),
        ("/gradio_api/queue/join", {b"host": b"localhost:1", b"content-length": b"-1"}, 413),
        ("/gradio_api/upload", {b"host": b"localhost:1"}, 404),
        ("/gradio_api/file=/etc/passwd", {b"host": b"localhost:1"}, 404),
        ("/gradio_api/proxy=http://example.com", {b"host": b"localhost:1"}, 404),
        ("/monitoring", {b"host": b"localhost:1"}, 404),
    ],
)
def test_who_and_what_is_let_in(path: str, headers: dict[bytes, bytes], status: int) -> None:
    assert refused(path, headers) == status


def test_a_body_without_a_length_is_counted_and_answers_carry_the_policy() -> None:
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(size: int) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"x" * size}

        async def send(message: Any) -> None:
            sent.append(message)

        await Guard(inner)({"type": "http", "path": "/", "headers": [(b"host", b"localhost")]}, receive, send)

    asyncio.run(ask(10))
    assert b"connect-src 'self'" in dict(sent[0]["headers"])[b"content-security-policy"]
    with pytest.raises(TooLarge):
        asyncio.run(ask(MAX_REQUEST_BYTES + 1))


def test_a_port_that_is_taken() -> None:
    needs("gradio", "ui")
    from amdm.studio.serve import listening

    with listening(range(7900, 7950)) as taken:
        assert taken.getsockname()[0] == "127.0.0.1"
        with pytest.raises(InputError, match=r"port: \d+ is taken; --port names another"):
            listening((taken.getsockname()[1],))


def test_without_gradio_the_command_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "gradio" else found(name, *more)
    )
    done = CliRunner().invoke(app, ["studio"])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == "studio: needs gradio, which is not installed: pip install 'amdm[ui]'"
