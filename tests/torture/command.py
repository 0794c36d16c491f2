"""The real command line in forked children of one process that has loaded the libraries: a start takes no seconds."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import amdm.methods  # noqa: F401  (what the children need is loaded here, once)
import bench.benchmark  # noqa: F401
from bench.cli import main

NEVER = 10**9


class Command:
    """``amdm-bench`` with arguments, started in a folder as the leader of a process group of its own.

    Args:
        arguments: what stands behind ``amdm-bench``.
        folder: the working directory.
        log: where its two streams go; by default ``log`` in the folder.
        die_at: kill the whole group before the n-th file that Python opens for writing, or renames, in ``folder``.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, die_at: int = NEVER, log: Path | None = None) -> None:
        sys.stdout.flush()
        self.log = log or folder / "log"
        self.started = time.monotonic()
        self.process = os.fork()
        if self.process == 0:
            _work(list(arguments), folder, self.log, die_at)
        self._status: int | None = None

    def wait(self, seconds: float = 600) -> int | None:
        """The exit status (negative: the signal that ended it); None where it still runs after ``seconds``."""
        until = time.monotonic() + seconds
        while self._status is None:
            done, status = os.waitpid(self.process, os.WNOHANG)
            if done:
                self._status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= until:
                return None
            else:
                time.sleep(0.002)
        return self._status

    def kill(self) -> None:
        """SIGKILL to the whole group, if the command has not ended."""
        if self._status is None:
            try:
                os.killpg(self.process, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(self.process, signal.SIGKILL)  # it had not yet made its group
            self.wait()

    def printed(self) -> str:
        """All that it wrote, of both streams."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def _work(arguments: list[str], folder: Path, log: Path, die_at: int) -> None:
    """What the child does; does not return."""
    status = 70
    try:
        os.setsid()
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.chdir(folder)
        if die_at < NEVER:
            _die_at(die_at, str(folder))
        sys.argv = ["amdm-bench", *arguments]
        main.main()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _die_at(count: int, folder: str) -> None:
    left = [count]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event == "os.rename"):
            return
        if os.path.abspath(os.fsdecode(arguments[0])).startswith(folder):  # type: ignore[arg-type]
            left[0] -= 1
            if left[0] == 0:
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(hook)
