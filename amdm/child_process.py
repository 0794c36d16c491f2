"""What every process does that a command starts for work of its own."""

from __future__ import annotations

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """End this process when its parent is gone: a command that was killed cannot tell the processes that it started,
    and they would work on in secret, beside those of the command that resumes it."""
    Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
