"""Run folders that may lie at a place: their working folders, to read or to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bench.place import Place, folder_or_place

RunArgument = Annotated[str, typer.Argument(help="the run folder, or its URL as s3://bucket/name")]
RunsArgument = Annotated[list[str], typer.Argument(help="run folders, or their URLs as s3://bucket/name")]


def to_read(run: str, pictures: bool = True, again: bool = False) -> Path:
    """A local run folder as it is; of a place, its working folder (:func:`bench.run.mirror.reading`)."""
    found = folder_or_place(run)
    if isinstance(found, Path):
        return found
    from bench.run.mirror import reading

    return reading(found, pictures, again)


@contextmanager
def to_write(run: str | None) -> Iterator[Path | None]:
    """A local run folder as it is; of a place, its working folder while it is written
    (:func:`bench.run.mirror.writing`)."""
    found = None if run is None else folder_or_place(run)
    if not isinstance(found, Place):
        yield found
        return
    from bench.run.mirror import writing

    with writing(found) as folder:
        yield folder
