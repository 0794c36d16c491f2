"""What every case must keep to: success or one line; no process, no connection, no write outside its folder; limits."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from amdm.errors import InputError

SECONDS = 10.0
MEMORY = 2 * 2**30
LONGEST_LINE = 500

_FORBIDDEN = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"),
    *("socket.connect", "socket.bind", "pickle.find_class", "ctypes.dlopen", "urllib.Request", "webbrowser.open"),
)
_CHANGES = (*("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"),)
_allowed: list[Path] = []
_seen: list[str] = []


def check(case: Callable[[], object], folder: Path) -> bool:
    """Run a case that may write in ``folder`` only. Returns whether it succeeded; False: it was refused in one line.

    Raises:
        AssertionError: it broke a rule. Anything else than an InputError that the case raises comes through.
    """
    held = _reset_peak()
    started = time.process_time()  # on a busy machine the clock says little
    _seen.clear()
    _allowed[:] = [folder.resolve()]
    faulthandler.dump_traceback_later(30 * SECONDS, exit=True)  # a case that never ends shows where it is
    try:
        case()
        refused = None
    except InputError as error:
        refused = f"error: {error}"
    finally:
        faulthandler.cancel_dump_traceback_later()
        _allowed.clear()
    assert not _seen, _seen
    seconds = time.process_time() - started
    assert seconds < SECONDS, f"took {seconds:.1f} s"
    memory = _status("VmHWM") - held
    assert memory < MEMORY, f"took {memory >> 20} MiB"
    if refused is not None:
        assert refused.isprintable() and len(refused) < LONGEST_LINE, refused
        assert refused.removeprefix("error: ").strip(": "), "says nothing"
    return refused is None


def _reset_peak() -> int:
    """Forget the process's peak of memory; returns the bytes that it holds now (the fuzzer itself holds many)."""
    with contextlib.suppress(OSError):  # some systems do not let; then the peak is of all that was
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def install() -> None:
    """Watch this process from now on; inside :func:`check` it matters."""
    sys.dont_write_bytecode = True  # a module that is first imported inside a case would write its own
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _allowed:
        return
    if event in _FORBIDDEN:
        _seen.append(f"{event} {arguments!r:.200}")
    elif event in _CHANGES or (event == "open" and _writes(arguments)):
        paths = [one for one in arguments[:2] if isinstance(one, str | bytes | os.PathLike)]
        for path in paths[:1] if event == "open" else paths:
            place = Path(os.path.realpath(os.fsdecode(path)))
            if not place.is_relative_to(_allowed[0]) and str(place) != "/dev/null":
                _seen.append(f"{event} {place!s:.200}")


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
