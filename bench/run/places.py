"""Run folders by the name that a caller gives: a path, or the URL of a remote folder (:mod:`bench.run.mirror`)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import overload

from bench.io.remote import RemoteFolder, local_or_remote


def to_read(run: Path | str, pictures: bool = True, again: bool = False) -> Path:
    """A local run folder as it is; of a remote folder, its working folder (:func:`bench.run.mirror.reading`)."""
    found = local_or_remote(run)
    if isinstance(found, Path):
        return found
    from bench.run.mirror import reading  # the command lines start without what it needs

    return reading(found, pictures, again)


@overload
def to_write(run: Path | str) -> AbstractContextManager[Path]: ...
@overload
def to_write(run: Path | str | None) -> AbstractContextManager[Path | None]: ...
def to_write(run: Path | str | None) -> AbstractContextManager[Path | None]:
    """A local run folder as it is, and None as None; of a remote folder, its working folder while it is written
    (:func:`bench.run.mirror.writing`)."""
    found = None if run is None else local_or_remote(run)
    if not isinstance(found, RemoteFolder):
        return nullcontext(found)
    from bench.run.mirror import writing

    return writing(found)
