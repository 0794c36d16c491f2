"""Tracebacks of what fails on the way: whose code it was, and where. They lie in a run folder's ``errors.txt``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from amdm.errors import InputError, printable

ERRORS = "errors.txt"
LONGEST = 20_000
"""Characters of one traceback; of a longer one the end is kept."""
MAX_ERRORS_BYTES = 16 * 2**20
"""Bytes of the file; what fails beyond is in the table ``events`` alone."""

_BENCH = str(Path(__file__).resolve().parents[1])


def foreign_traceback(error: BaseException) -> str:
    """As Python prints it, from the first frame that is not the benchmark's own; "" where there is no such frame."""
    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return "" if frames is None else _as_text(error.with_traceback(frames))


def whole_traceback(error: BaseException) -> str:
    """:func:`foreign_traceback`; of an error that is raised in the benchmark itself, all of it."""
    return foreign_traceback(error) or _as_text(error)


def _is_ours(file: str) -> bool:
    return file.startswith((_BENCH, "<frozen importlib", str(Path(traceback.__file__).parent / "importlib")))


def _as_text(error: BaseException) -> str:
    text = printable("".join(traceback.format_exception(error)), keep="\n")
    return text if len(text) <= LONGEST else f"…{text[-LONGEST:]}"


def add_tracebacks(folder: Path, texts: Sequence[str]) -> None:
    """Append to the run's ``errors.txt``. Raises InputError where that is a link or no file."""
    path = folder / ERRORS
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError("is not a regular file", file=path)
    if not texts or (path.exists() and path.stat().st_size > MAX_ERRORS_BYTES):
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(f"{now} {text}\n" for text in texts)


def show_traceback(text: str, folder: Path) -> None:
    """One traceback on stderr, and where all of them are."""
    tqdm.write(f"{text}(this and other tracebacks: {folder / ERRORS})", file=sys.stderr)
