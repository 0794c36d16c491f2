"""A server of S3 on this machine, for tests: moto's, which holds what it is given in memory."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import needs

BUCKET = "bucket"


class Server:
    """It can be stopped and started again, with all that it held, and from some moment on ask who one is."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self._make = ThreadedMotoServer
        self._port = 0
        self._server: Any = None
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """For commands that are to find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "key-of-the-test",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """On the same port as before."""
        self._server = self._make(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        """Nobody answers from now on."""
        self._server.stop()

    def ask_who_one_is(self, asked: bool) -> None:
        """No key is known: nothing is permitted, or everything again."""
        self._post("reset-auth", b"0" if asked else b"inf")

    def empty(self) -> None:
        """Forget everything, but for the empty bucket."""
        self.ask_who_one_is(False)
        self._post("reset", b"")

    def _post(self, what: str, content: bytes) -> None:
        url = f"http://127.0.0.1:{self._port}/moto-api/{what}"
        request = urllib.request.Request(url, content, {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def s3_server() -> Iterator[Server]:
    """Tests with it are skipped where a package is absent."""
    needs("s3fs", "s3")
    needs("moto", "ci")
    server = Server()
    yield server
    server.stop()


def files(server: Server) -> Any:
    """Its objects, through fsspec; makes the bucket."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    found = s3fs.S3FileSystem(
        endpoint_url=server.environment["AWS_ENDPOINT_URL"],
        key="key-of-the-test",
        secret="secret-of-the-test",
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    if not found.exists(BUCKET):
        found.mkdir(BUCKET)
    return found
