"""The largest memory that a piece of work took: of the GPU where one is in use, else of the process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

Result = TypeVar("Result")
Whose = Literal["gpu", "process"]
WHOSE: dict[str, str] = {
    "gpu": "what torch had allocated on the GPU",
    "process": "resident memory of the process that drew, with all models that it holds",
}
_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class Peak(NamedTuple):
    """bytes: the largest amount. of: whose memory it is, see :data:`WHOSE`."""

    bytes: int
    of: Whose


def with_peak(work: Callable[[], Result]) -> tuple[Result, Peak | None]:
    """What ``work`` returns, and the peak of memory meanwhile; None where the system does not tell (no Linux)."""
    for device in _gpus():
        _cuda().reset_peak_memory_stats(device)
    told = _forget_resident_peak()
    result = work()
    if gpus := _gpus():  # in use since the work at the latest
        return result, Peak(max(int(_cuda().max_memory_allocated(device)) for device in gpus), "gpu")
    peak = _resident_peak() if told else None
    return result, None if peak is None else Peak(peak, "process")


def _gpus() -> range:
    """The devices, where this process uses any."""
    return range(_cuda().device_count()) if "torch" in sys.modules and _cuda().is_initialized() else range(0)


def _cuda() -> Any:
    return sys.modules["torch"].cuda


def _forget_resident_peak() -> bool:
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _resident_peak() -> int | None:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
