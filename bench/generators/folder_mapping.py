"""A CSV that says which picture is of which layout, as whatever program writes it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

from amdm.errors import InputError, instead
from amdm.io.files import read_text
from bench.generators.folder_names import KeyNames, normal_path

MAX_MAPPING_BYTES = 16 * 2**20
DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r'"?sep=([,;|\t])"?[,;|\t]*', re.IGNORECASE)
"""The first line that spreadsheet programs write to name the delimiter."""


class Mapped(NamedTuple):
    """What a line says of a file: the layout's key, the seed where there is such a column, and the line's number."""

    key: str
    seed: int | None
    line: int


def read_mapping(path: Path, names: KeyNames, layouts: str, folder: Path) -> dict[str, Mapped]:
    """Path inside ``folder`` (:func:`bench.generators.folder_names.normal_path`) → what is said of it.

    Columns ``file`` and ``key``, perhaps ``seed``, in any order and case, with commas, semicolons or tabs between them,
    or what a first line ``sep=;`` says. A file may be named by its absolute path.

    Raises:
        InputError: naming the line: it cannot be read, lacks a column (naming those found), names a file twice or
            outside the folder, or a key that is not one of ``names`` (of the set called ``layouts``).
    """
    named: dict[str, Mapped] = {}
    for line, row in _rows(path):
        try:
            file, key = _inside(row["file"], folder), _key(row["key"], names, layouts)
            if file in named:
                raise InputError(f"{file!r} stands twice")
            named[file] = Mapped(key, _seed(row.get("seed", "")), line)
        except InputError as error:
            raise error.within(file=path, field=f"line {line}") from None
    return named


def _inside(text: str, folder: Path) -> str:
    """A path of the folder, relative to it."""
    if not text:
        raise InputError("needs a file and a key")
    outside = InputError(f"{text!r} is outside the folder {folder}")
    if ".." in text.replace("\\", "/").split("/"):
        raise outside
    if not text.startswith("/"):
        return normal_path(text)
    for root in (folder.absolute(), folder.resolve()):
        if Path(text).is_relative_to(root):
            return normal_path(Path(text).relative_to(root).as_posix())
    raise outside


def _key(text: str, names: KeyNames, layouts: str) -> str:
    if not text:
        raise InputError("needs a file and a key")
    keys = names.whole(text)
    if not keys:
        raise InputError(f"{text!r} is the key of no layout of {layouts}; {instead(text, names.keys())}")
    if len(keys) > 1:
        raise InputError(f"{text!r} may be {' or '.join(map(repr, keys))}")
    return keys[0]


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(number of the line, its cells by column) of every line that is not blank."""
    text = read_text(path, MAX_MAPPING_BYTES)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = _SEPARATOR.fullmatch(first.strip())
    delimiter = separator[1] if separator else max(DELIMITERS, key=first.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(f"cannot be read as CSV: {error}", file=path) from error
    lines = lines[1:] if separator else lines
    columns = [name.casefold() for name in lines[0][1]] if lines else []
    if absent := {"file", "key"} - set(columns):
        found = ", ".join(map(repr, lines[0][1])) if lines else "nothing"
        what = f"needs the columns file and key; its first line has no {min(absent)!r}, it holds {found}"
        raise InputError(what, file=path)
    if twice := [name for name in ("file", "key", "seed") if columns.count(name) > 1]:
        raise InputError(f"has the column {twice[0]} twice", file=path)
    if len(lines) == 1:
        raise InputError("has no rows below its header", file=path)
    return [(number, dict(zip(columns, [*row, *[""] * len(columns)], strict=False))) for number, row in lines[1:]]


def _seed(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise InputError(f"{text!r} is not a seed", field="seed")
    return int(text)
