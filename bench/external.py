"""Generators that are not ours: any Python callable from layouts to pictures, and folders of pictures."""

from __future__ import annotations

import csv
import hashlib
import importlib
import inspect
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from amdm.errors import InputError
from amdm.files import read_limited, sha256
from amdm.layout import Layout
from amdm.noise import keyed_generator
from amdm.style_image import LARGEST_SIDE, load_style
from bench.generation import ContractError, Generator
from bench.layouts.layout_set import LayoutSet
from bench.scoring import MOST_PIXELS
from bench.store import LARGEST_PICTURE

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
LARGEST_MAPPING = 16 * 2**20
TWIN_PREFIX = "anno_"
"""Official scripts write an annotated twin beside each picture."""

UserFunction = Callable[[list[Layout], list[int]], Sequence[Any]]


def load_callable(name: str) -> UserFunction:
    """``"my_module:my_function"``, looked for in the current folder and wherever Python looks.

    The function gets layouts and one seed a layout (the same whatever the batch), and returns as many pictures: PIL
    images, or uint8 RGB arrays (H, W, 3).

    Raises:
        InputError: there is no such module or function.
    """
    module, sign, function = name.partition(":")
    if not sign or not module or not function:
        raise InputError(f"{name!r} is not of the form module:function", field="generator")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # a module of the user's may raise anything when it is imported
        raise InputError(f"{name!r} cannot be imported: {type(error).__name__}: {error}", field="generator") from error
    if not callable(found):
        raise InputError(f"{name!r} is not callable", field="generator")
    return found


def callable_digest(name: str) -> str:
    """SHA-256 of the file that the function stands in."""
    found = inspect.unwrap(load_callable(name))
    try:
        source = inspect.getsourcefile(found if inspect.isroutine(found) or inspect.isclass(found) else type(found))
    except TypeError:  # of what is built in
        source = None
    if source is None:
        raise InputError(f"the source of {name!r} is not to be found", field="generator")
    return sha256(Path(source))


def callable_generator(name: str) -> Generator:
    """The function as the benchmark's own generators are called."""
    function = load_callable(name)

    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> Any:
        seeds = [keyed_generator(key, "generator").initial_seed() % 2**32 for key in keys]  # NumPy takes 32 bits
        made = [_as_array(one, name) for one in function(list(layouts), seeds)]
        if len(made) != len(layouts):
            what = f"returned {len(made)} pictures for {len(layouts)} layouts; it must return one for each"
            raise ContractError(what, field=f"generator {name}")
        return SimpleNamespace(images=made, finite=[True] * len(made), evaluations={})

    return run


def _as_array(picture: Any, name: str) -> np.ndarray:
    array = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        what = f"gave a picture of {array.dtype} and shape {array.shape}; it must be a PIL image, or uint8 (H, W, 3)"
        raise ContractError(what, field=f"generator {name}")
    if max(array.shape) > LARGEST_SIDE or array.shape[0] * array.shape[1] > MOST_PIXELS:
        what = f"gave a picture of shape {array.shape}; at most {MOST_PIXELS:,} pixels are judged"
        raise ContractError(what, field=f"generator {name}")
    return array


@dataclass
class FoundImages:
    """Files by layout index, and what is wrong with the folder."""

    paths: dict[int, Path] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """For a report."""
        return {
            "found": len(self.paths),
            **{kind: len(getattr(self, kind)) for kind in ("missing", "duplicate", "stray", "twins")},
        }

    def gaps(self) -> bool:
        """Whether some layout has no picture, or several."""
        return bool(self.missing or self.duplicate)

    def digest(self) -> str:
        """SHA-256 over the layouts and the contents of their files."""
        lines = (f"{k} {_content(path)}\n" for k, path in sorted(self.paths.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _content(path: Path) -> str:
    """SHA-256; of what is too large for a picture, the size alone."""
    size = path.stat().st_size
    return sha256(path) if size <= LARGEST_PICTURE else f"{size} bytes"


def find_images(folder: Path, layout_set: LayoutSet, mapping: Path | None = None) -> FoundImages:
    """Which file is of which layout.

    Without ``mapping`` by name: the text after the last "_" up to the first "." is the layout's key, as the official
    evaluator reads it; so are AMDM's names. ``mapping``: a CSV with the columns ``file`` and ``key``. Of several files
    for one layout none is taken.

    Raises:
        InputError: there is no such folder, or the CSV is not of that form.
    """
    if not folder.is_dir():
        raise InputError("is no folder", file=folder)
    index = {entry.key: entry.index for entry in layout_set.entries}
    named = _mapped(mapping) if mapping is not None else None
    for file, key in (named or {}).items():
        if key not in index:
            raise InputError(f"{key!r} is the key of no layout of {layout_set.name}", file=mapping, field=file)
    found, by_layout = FoundImages(), dict[int, list[Path]]()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        if path.name.startswith(TWIN_PREFIX):
            found.twins.append(name)
            continue
        key = path.name.rpartition("_")[2].partition(".")[0] if named is None else named.pop(name, "")
        if key in index:
            by_layout.setdefault(index[key], []).append(path)
        else:
            found.stray.append(name)
    for k, paths in sorted(by_layout.items()):
        if len(paths) == 1:
            found.paths[k] = paths[0]
        else:
            found.duplicate += [path.relative_to(folder).as_posix() for path in paths]
    found.missing = sorted(set(index.values()) - set(by_layout))
    if named:
        raise InputError("names a file that is not in the folder", file=mapping, field=min(named))
    return found


def _mapped(path: Path) -> dict[str, str]:
    content = read_limited(path, LARGEST_MAPPING)
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise InputError("cannot be read as CSV", file=path) from error
    named: dict[str, str] = {}
    for k, row in enumerate(rows, start=2):
        name, key = row.get("file"), row.get("key")
        if not name or not key:
            raise InputError("needs the columns file and key", file=path, field=f"line {k}")
        if name in named:
            raise InputError(f"{name!r} stands twice", file=path, field=f"line {k}")
        named[name] = key
    return named


def read_picture(path: Path) -> np.ndarray:
    """uint8 RGB (H, W, 3). Raises InputError where it cannot be read, or is larger than what is judged."""
    picture = np.asarray(load_style(path))
    if picture.shape[0] * picture.shape[1] > MOST_PIXELS:
        raise InputError(f"has more than {MOST_PIXELS:,} pixels", file=path)
    return picture
