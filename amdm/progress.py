"""Progress of long work on stderr: tqdm's bar on a terminal and in a notebook, whole lines in a file or a pipe."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from tqdm import tqdm

SECONDS = 30.0
"""Between two lines; TQDM_MININTERVAL says otherwise."""


class Progress(tqdm):  # type: ignore[type-arg]
    """tqdm with its arguments. Where nothing can be drawn over, a line now and then and the last one, each to its end.

    A notebook's stderr is no terminal, and draws over a line all the same.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if not sys.stderr.isatty() and "ipykernel" not in sys.modules:
            seconds = float(os.environ.get("TQDM_MININTERVAL") or SECONDS)
            lines = {"file": _Lines(), "ascii": True, "ncols": 100, "mininterval": seconds, "maxinterval": seconds}
            options = {**lines, **options}
        super().__init__(*arguments, **options)


class _Lines:
    """What tqdm draws over and over in one line, as lines of their own. The work goes on where nobody reads them."""

    def write(self, text: str) -> int:
        line = text.strip("\r\n ")
        if line:
            with suppress(OSError):
                sys.stderr.write(f"{line}\n")
        return len(text)

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
