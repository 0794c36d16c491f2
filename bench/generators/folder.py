"""Folders of pictures that others made: which file is of which layout and seed."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from amdm.errors import InputError
from amdm.io.files import sha256
from bench.generators.folder_mapping import Mapped, read_mapping
from bench.generators.folder_names import KeyNames, normal_path
from bench.layouts.layout_set import LayoutSet
from bench.run.images import MAX_PICTURE_BYTES

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
TWIN_PREFIX = "anno_"
"""Official scripts write an annotated twin beside each picture."""
FOREIGN = {
    *("__macosx", "$recycle.bin", "recycler", "#recycle", "@recycle", "@eadir", "system volume information"),
    *(
        "lost+found",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "__pycache__",
        "icon\r",
        "trash",
        "recycled",
        "lost.dir",
    ),
    *("network trash folder", "temporary items", "thevolumesettingsfolder", "@__thumb"),
}
"""What operating systems and servers leave in folders, besides hidden names (a "." in front)."""


@dataclass
class FoundImages:
    """Files by layout index and seed, and what is wrong with the folder.

    duplicate: files of one layout and seed; none of them is taken. clash: two of them. ambiguous: names that say two
    layouts or two seeds. stray: pictures of no layout. twins: annotated ones. foreign: hidden files and those of
    operating systems. other: what is not read as a picture. linked: folders that are links, which are not entered.
    note: what else there is to be said.
    """

    paths: dict[tuple[int, int], Path] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    missing: list[tuple[int, int]] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    clash: str = ""
    note: str = ""

    def counts(self) -> dict[str, int]:
        """For a report."""
        kinds = ("missing", "duplicate", "stray", "twins", "ambiguous", "foreign", "other", "linked")
        return {"found": len(self.paths), **{kind: len(getattr(self, kind)) for kind in kinds}}

    def gaps(self) -> bool:
        """Whether some layout has no picture, or several."""
        return bool(self.missing or self.duplicate)

    def digest(self) -> str:
        """SHA-256 over the layouts, the seeds and the contents of their files."""
        lines = (f"{k} {seed} {_content(path)}\n" for (k, seed), path in sorted(self.paths.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _content(path: Path) -> str:
    """SHA-256; of what is too large for a picture, the size alone."""
    size = path.stat().st_size
    return sha256(path) if size <= MAX_PICTURE_BYTES else f"{size} bytes"


class Claim(NamedTuple):
    """A file, the key of the layout that it is of, and the seed where something says one."""

    path: Path
    key: str
    seed: int | None


def find_images(
    folder: Path, layout_set: LayoutSet, mapping: Path | None = None, seed: int | None = None
) -> FoundImages:
    """Which file is of which layout and seed.

    Args:
        mapping: a CSV (see :mod:`bench.generators.folder_mapping`), which alone is followed; without it, names are
            read (:meth:`bench.generators.folder_names.KeyNames.read`).
        seed: of all pictures; None takes what names or the mapping say, and 0 where they say nothing.

    Raises:
        InputError: there is no such folder, or the CSV is not of that form.
    """
    if not folder.is_dir():
        raise InputError("is not a folder", file=folder)
    names = KeyNames(entry.key for entry in layout_set.entries)
    mapped = None if mapping is None else read_mapping(mapping, names, layout_set.name, folder)
    if seed is not None and mapped and any(one.seed is not None for one in mapped.values()):
        raise InputError("has a column seed; leave out --seed", file=mapping)
    found = FoundImages()
    paths = _walk(folder, found)
    claims = _read_names(folder, paths, names, found) if mapped is None else _follow(folder, paths, mapped, found)
    if mapped and (absent := sorted(set(mapped) - {_name(one.path, folder) for one in claims})):
        linked = f" (links to folders are not entered: {found.linked[0]!r})" if found.linked else ""
        where = f"line {mapped[absent[0]].line}: {absent[0]}"
        raise InputError(f"names a file that is not in the folder{linked}", file=mapping, field=where)
    if mapped is None and seed is None and _seeds_tell_nothing(claims):
        found.note = "names say several seeds, but no layout has two pictures: all are taken as of seed 0"
        seed = 0
    _settle(found, [one if seed is None else one._replace(seed=seed) for one in claims], folder, layout_set)
    return found


def pictures_in(folder: Path) -> list[Path]:
    """The pictures below a folder, without what :class:`FoundImages` leaves aside (hidden files, annotated twins)."""
    found = FoundImages()
    return [path for path in _walk(folder, found) if not _left_aside(path, folder, found)]


def _name(path: Path, folder: Path) -> str:
    return normal_path(path.relative_to(folder).as_posix())


def _walk(folder: Path, found: FoundImages) -> list[Path]:
    """Every file below; links to folders are noted and not entered."""

    def fail(error: OSError) -> NoReturn:
        raise InputError(f"cannot be read: {error.strerror}", file=error.filename) from error

    paths: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=fail):
        links = [Path(place, name) for name in sorted(folders) if Path(place, name).is_symlink()]
        found.linked += [path.relative_to(folder).as_posix() for path in links]
        paths += [Path(place, name) for name in files]
    return sorted(paths)


def _left_aside(path: Path, folder: Path, found: FoundImages) -> bool:
    """Note what is no picture of a generator."""
    shown = path.relative_to(folder)
    if any(part.startswith(".") or part.casefold() in FOREIGN for part in shown.parts):
        found.foreign.append(shown.as_posix())
    elif not path.is_file() or path.suffix.lower() not in PICTURE_SUFFIXES:
        found.other.append(shown.as_posix())
    elif path.name.startswith(TWIN_PREFIX):
        found.twins.append(shown.as_posix())
    else:
        return False
    return True


def _follow(folder: Path, paths: list[Path], mapped: dict[str, Mapped], found: FoundImages) -> list[Claim]:
    claims = []
    for path in paths:
        said = mapped.get(_name(path, folder))
        if said is not None and path.is_file():
            claims.append(Claim(path, said.key, said.seed))
        elif not _left_aside(path, folder, found):
            found.stray.append(path.relative_to(folder).as_posix())
    return claims


def _read_names(folder: Path, paths: list[Path], names: KeyNames, found: FoundImages) -> list[Claim]:
    claims = []
    for path in paths:
        if _left_aside(path, folder, found):
            continue
        shown = path.relative_to(folder).as_posix()
        keys, seeds = names.read(shown)
        if not keys:
            found.stray.append(shown)
        elif len(keys) > 1 or len(seeds) > 1:
            kind, said = ("layout", keys) if len(keys) > 1 else ("seed", seeds)
            found.ambiguous.append(f"{shown} ({kind} {' or '.join(map(repr, said))})")
        else:
            claims.append(Claim(path, keys[0], seeds[0] if seeds else None))
    return claims


def _seeds_tell_nothing(claims: list[Claim]) -> bool:
    """Names say several seeds, and yet no layout has several pictures: a seed a picture, as some programs draw."""
    return len({one.seed for one in claims}) > 1 and len({one.key for one in claims}) == len(claims)


def _settle(found: FoundImages, claims: list[Claim], folder: Path, layout_set: LayoutSet) -> None:
    """Give each layout and seed its file. Of several files for one none is taken."""
    index = {entry.key: entry.index for entry in layout_set.entries}
    by_sample: defaultdict[tuple[int, int], list[Claim]] = defaultdict(list)
    for one in claims:
        by_sample[index[one.key], one.seed or 0].append(one)
    for (k, seed), own in sorted(by_sample.items()):
        names = [one.path.relative_to(folder).as_posix() for one in own]
        if len(own) == 1:
            found.paths[k, seed] = own[0].path
            continue
        found.duplicate += names
        found.clash = found.clash or f"{names[0]} and {names[1]} are both of layout {own[0].key!r}, seed {seed}"
    found.seeds = tuple(sorted({seed for _, seed in by_sample})) or (0,)
    found.missing = sorted({(k, seed) for k in index.values() for seed in found.seeds} - set(by_sample))
