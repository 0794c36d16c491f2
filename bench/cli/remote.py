"""Run folders that may lie in a remote folder: their working folders, to read or to write."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, overload

import typer

from bench.io.remote import RemoteFolder, local_or_remote

RunArgument = Annotated[str, typer.Argument(help="the run folder, or its URL as s3://bucket/name")]
RunsArgument = Annotated[list[str], typer.Argument(help="run folders, or their URLs as s3://bucket/name")]


def to_read(run: str, pictures: bool = True, again: bool = False) -> Path:
    """A local run folder as it is; of a remote folder, its working folder (:func:`bench.run.mirror.reading`)."""
    found = local_or_remote(run)
    if isinstance(found, Path):
        return found
    from bench.run.mirror import reading

    return reading(found, pictures, again)


@overload
def to_write(run: str) -> AbstractContextManager[Path]: ...
@overload
def to_write(run: str | None) -> AbstractContextManager[Path | None]: ...
def to_write(run: str | None) -> AbstractContextManager[Path | None]:
    """A local run folder as it is, and None as None; of a remote folder, its working folder while it is written
    (:func:`bench.run.mirror.writing`)."""
    found = None if run is None else local_or_remote(run)
    if not isinstance(found, RemoteFolder):
        return nullcontext(found)
    from bench.run.mirror import writing

    return writing(found)
