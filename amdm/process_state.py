"""Results that do not depend on what the process was set to, and calls that leave the process as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_LOADING = threading.RLock()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute without the caller's autocast and default device. Both belong to a thread, and so does this."""
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def as_in_a_fresh_process() -> Iterator[None]:
    """Build networks in float32 on the CPU, outside inference mode; torch's generator is left as it was found.

    The default dtype is the whole process's while this lasts; two threads take turns.
    """
    with _LOADING:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            with undisturbed(), torch.random.fork_rng(devices=[]), torch.inference_mode(False):
                yield
        finally:
            torch.set_default_dtype(before)
