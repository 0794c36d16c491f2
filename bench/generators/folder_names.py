"""Which layout and which seed the name of a picture says."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_SEED = re.compile(r"(?:^|[^a-z0-9])(?:seed[ _=-]?|s)([0-9]{1,10})$", re.IGNORECASE)
"""``seed3``, ``seed_3``, ``s3`` at the end of a text: of a folder's name, before a key, behind it."""
_SEED_WORD = re.compile(r"(?:^|[^a-z0-9])seed[ _=-]?([0-9]{1,10})(?![a-z0-9])", re.IGNORECASE)


class Reading(NamedTuple):
    """What a name says: of which layout (none: ``keys`` is empty) and seed; more than one of either is ambiguous."""

    keys: tuple[str, ...]
    seeds: tuple[int, ...]


def normal_path(text: str) -> str:
    """A path inside a folder, so that equal paths are equal texts: "/" between parts, no "./", Unicode composed.

    >>> normal_path("./seed0/a.png"), normal_path("seed0//a.png")
    ('seed0/a.png', 'seed0/a.png')
    """
    parts = unicodedata.normalize("NFC", text).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


class KeyNames:
    """The keys of a layout set, found in names. Numbers are the same whatever zeros they begin with: 3 and 00003."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys: dict[str, list[str]] = {}
        for key in keys:
            self._keys.setdefault(_plain(key), []).append(key)

    def keys(self) -> list[str]:
        """All of them."""
        return [key for alike in self._keys.values() for key in alike]

    def whole(self, text: str) -> tuple[str, ...]:
        """The key that the text is; several where only zeros tell keys apart and it is none of them to the letter."""
        return self._told_apart(_plain(text), text)

    def read(self, path: str) -> Reading:
        """What a picture's path inside its folder says, as ``docs/any-generator.md`` has it.

        The key is the longest that the path without suffix ends with, behind what is neither letter nor digit (or the
        whole name). The seed stands in front of it or behind it, or is a folder's.
        """
        reading = self._read(normal_path(path))
        return reading if reading.keys else self._read(normal_path(unquote(path)))  # as a run folder spells names

    def _read(self, path: str) -> Reading:
        text = _without_suffix(path)
        keys, before = self._last(text)
        found = _SEED.search(text)
        if found is not None:
            named, front = self._last(text[: found.start()])
            covered = keys and len(before) <= len(_plain(text[: found.start()]))  # a key like "val_seed_3"
            if named and not covered:
                return Reading(named, _seeds(front, int(found[1])))
        official = self._official(path)
        if official and not keys:
            before = path.rpartition("_")[0]
        return Reading(tuple(dict.fromkeys((*keys, *official))), _seeds(before))

    def _last(self, text: str) -> tuple[tuple[str, ...], str]:
        """The longest key at the end of a text, and what stands before it."""
        plain = _plain(text)
        for start in range(len(plain)):
            inside = start and plain[start - 1].isalnum() and plain[start].isalnum()
            if not inside and plain[start:] in self._keys:
                return self._told_apart(plain[start:], text), plain[:start]
        return (), plain

    def _told_apart(self, plain: str, text: str) -> tuple[str, ...]:
        keys = self._keys.get(plain, [])
        exact = [key for key in keys if _ends_with(unicodedata.normalize("NFC", text), key)]
        return tuple(exact or keys)

    def _official(self, path: str) -> tuple[str, ...]:
        """The official evaluator reads from the last "_" to the first "."; that differs where there are several "."."""
        last = path.rpartition("_")[2]
        return self.whole(last.partition(".")[0]) if last.count(".") > 1 else ()


def _plain(text: str) -> str:
    return _LEADING_ZEROS.sub("", unicodedata.normalize("NFC", text))


def _ends_with(text: str, key: str) -> bool:
    key = unicodedata.normalize("NFC", key)
    cut_number = key[:1].isdigit() and text.removesuffix(key)[-1:].isdigit()
    return text.endswith(key) and not cut_number


def _without_suffix(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def _seeds(before: str, *others: int) -> tuple[int, ...]:
    """The seeds that folders and the name say in front of the key, with those found elsewhere."""
    *folders, name = before.split("/")
    name = re.sub(r"[\W_]+$", "", name)
    found = [*map(_SEED.search, [*folders, name]), *_SEED_WORD.finditer(name)]
    return tuple(sorted({*others, *(int(one[1]) for one in found if one is not None)}))
