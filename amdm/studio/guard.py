"""What stands before the page's server: this machine's own names alone, small requests, nothing from other hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MAX_REQUEST_BYTES = 24 * 2**20
"""Bytes; a style picture of 8 MiB in base64 is the most that the page sends."""
HOSTS = ("127.0.0.1", "localhost", "[::1]")
UNUSED = (
    "upload",
    "proxy=",
    "file=",
    "file/",
    "stream/",
    "process_recording",
    "vibe-",
    "monitoring",
    "runs",
    "deep_link",
)
"""Parts of gradio's server that the page has no use for: files are read in the browser and sent as text."""
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'self'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""gradio's own scripts need eval; nothing may be asked of another host."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class TooLarge(Exception):
    """A request that goes on beyond :data:`MAX_REQUEST_BYTES`."""


class Guard:
    """ASGI middleware. Another host's name (DNS rebinding) or page is 403, a large request 413, an unused part 404."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if status := refused(scope["path"], headers):
            await _answer(send, status)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        await self.app(scope, _limited(receive), with_policy)


def refused(path: str, headers: MutableMapping[bytes, bytes]) -> int:
    """The status that a request is refused with, or 0."""
    host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)
    name = host[0] if len(host) == 1 or host[1].isdigit() else ":".join(host)
    origin = headers.get(b"origin")
    if name not in HOSTS or (origin is not None and origin.partition(b"://")[2] != headers[b"host"]):
        return 403
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length[:20]) > MAX_REQUEST_BYTES:
        return 413
    part = path.removeprefix("/gradio_api").removeprefix("/")
    return 404 if part.startswith(UNUSED) else 0


def _limited(receive: Receive) -> Receive:
    """A body that is sent in pieces, without its length said before, is counted."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_REQUEST_BYTES:
            raise TooLarge
        return message

    return counted


async def _answer(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"refused"})
