"""A folder of pictures in a remote folder, as a local one: names first, then those pictures alone that are measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from amdm.errors import InputError
from amdm.progress import Progress
from bench.generators.folder import FoundImages, find_images
from bench.io.remote import RemoteFolder
from bench.layouts.layout_set import LayoutSet
from bench.run.images import MAX_PICTURE_BYTES

LONGEST_PART = 255
"""Bytes of a file's or folder's name, on Linux."""


@contextmanager
def images_of(
    images: Path | RemoteFolder, layout_set: LayoutSet, mapping: Path | None, seed: int | None
) -> Iterator[tuple[Path, FoundImages]]:
    """A local folder, and what :func:`bench.generators.folder.find_images` finds in it.

    Of a remote folder a temporary folder holds what is found: what has no layout, or is too large for a picture, stays
    there.

    Raises:
        InputError: as that function; the remote folder is absent or not permitted. ConnectionError: it does not answer.
    """
    if isinstance(images, Path):
        yield images, find_images(images, layout_set, mapping, seed)
        return
    sizes = images.sizes()
    if not sizes:
        raise InputError("holds nothing", file=images)
    with tempfile.TemporaryDirectory(prefix="amdm-images-") as scratch:
        folder = Path(scratch)
        strange = [name for name, size in sizes.items() if not _stands_for(folder, name, size)]
        found = find_images(folder, layout_set, mapping, seed)
        found = replace(found, other=[*found.other, *strange])
        wanted = {path.relative_to(folder).as_posix(): path for path in found.paths.values()}
        fetched = {name: path for name, path in wanted.items() if sizes[name] <= MAX_PICTURE_BYTES}
        with Progress(total=len(fetched), desc="fetch", unit="image") as progress:
            for count in images.fetch(fetched.items()):
                progress.update(count)
        for name, path in fetched.items():
            if path.stat().st_size != sizes[name]:
                raise InputError("changed while it was read", file=f"{images}/{name}")
        yield folder, found


def _stands_for(folder: Path, name: str, size: int) -> bool:
    """Make a file of that name and size without content; False where no file can have the name.

    Names decide which pictures are taken, and sizes whether they are read, by the same code as those of a local folder.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or len(os.fsencode(part)) > LONGEST_PART for part in parts):
        return False
    path = folder.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.truncate(min(size, 2**40))
    except (FileExistsError, NotADirectoryError):  # an object and a folder of one name
        return False
    return True
