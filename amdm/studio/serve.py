"""Serving the page to this machine alone.

With a server of its own, and not by gradio's ``launch``: that asks the page for itself before it opens it, and gives up
where the machine is busy or a proxy is set.
"""

from __future__ import annotations

import socket
import threading
import time

import gradio as gr
import uvicorn
from fastapi import FastAPI

from amdm.errors import InputError
from amdm.studio.app import build, static_text, theme
from amdm.studio.guard import Guard
from amdm.studio.work import Studio

HOST = "127.0.0.1"
PORTS = range(7860, 7900)
"""Tried in turn where none is asked for."""
LONGEST_START = 300.0
"""Seconds."""


class Served:
    """The page of a studio, until :meth:`close`.

    Args:
        port: None takes the first free one of :data:`PORTS`.

    Raises:
        InputError: the port, or every one of them, is taken.
    """

    def __init__(self, studio: Studio, port: int | None = None) -> None:
        self._socket = listening(PORTS if port is None else (port,))
        self.address = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        config = uvicorn.Config(page_app(studio), log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve in this thread, until Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def start(self) -> Served:
        """Serve in a thread; the page can be opened when this returns."""
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()
        until = time.monotonic() + LONGEST_START
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.05)
        assert self._server.started
        return self

    def close(self) -> None:
        """End what :meth:`start` began."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()


def page_app(studio: Studio) -> FastAPI:
    """The page as an application of ASGI, behind :class:`Guard`, with all that it has no use for switched off."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
    return gr.mount_gradio_app(
        app,
        build(studio),
        "/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css=static_text("studio.css"),
    )


def listening(ports: range | tuple[int, ...]) -> socket.socket:
    """A socket on the first free one. Raises InputError where there is none."""
    for port in ports:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((HOST, port))
            made.listen()
        except OSError:
            made.close()
        else:
            return made
    what = f"{ports[0]} is taken" if len(ports) == 1 else f"{ports[0]} to {ports[-1]} are taken"
    raise InputError(f"{what}; --port names another", field="port")
