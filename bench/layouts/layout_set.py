"""A set of layouts in COCO-MIG form: 2 … 6 coloured objects a layout, identified by a hash of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from amdm.errors import InputError
from amdm.layout import Layout
from bench.layouts.vocabulary import Vocabulary

MIN_INSTANCES, MAX_INSTANCES = 2, 6


@dataclass(frozen=True)
class Label:
    """``"a red bowl"`` in parts. The category may hold spaces ("dining table")."""

    article: str
    colour: str
    category: str

    @classmethod
    def parse(cls, text: str) -> Label:
        """Split at single spaces, as the official evaluator does: article, colour, and the rest is the category.

        Raises:
            InputError: fewer than three words.
        """
        words = text.split(" ", 2)
        if len(words) < 3 or not all(words):
            raise InputError(f"{text!r} is not '<article> <colour> <category>'", field="label")
        return cls(*words)

    def __str__(self) -> str:
        return f"{self.article} {self.colour} {self.category}"


@dataclass(frozen=True)
class Entry:
    """One layout of a set.

    Args:
        index: position in the whole set, from 0; kept by subsets.
        key: the entry's name in its file, by which image files refer to it.
        image_id: the COCO image that it was built from, or "".
        layout: caption, and instances whose phrases are the coloured labels.
        labels: the phrases in parts, in the order of the instances.
    """

    index: int
    key: str
    image_id: str
    layout: Layout
    labels: tuple[Label, ...] = field(init=False)

    def __post_init__(self) -> None:
        labels = []
        for k, instance in enumerate(self.layout.instances):
            try:
                labels.append(Label.parse(instance.phrase))
            except InputError as error:
                raise error.within(field=f"segment[{k}]") from None
        object.__setattr__(self, "labels", tuple(labels))

    @property
    def level(self) -> int:
        """The number of instances."""
        return len(self.layout.instances)


@dataclass(frozen=True)
class LayoutSet:
    """Layouts to be measured together.

    Args:
        name: how tables call it.
        entries: at least one, with distinct keys, of 2 … 6 instances each.
        vocabulary: the colours and categories that its labels may use.
        hash: identity of the whole set; computed, and kept by :meth:`subset`, so that a layout has the same
            initial noise in a subset as in the whole.
        full_size: number of entries of the whole set; computed, and kept by :meth:`subset`.

    Raises:
        InputError: naming the entry and the field.
    """

    name: str
    entries: tuple[Entry, ...]
    vocabulary: Vocabulary
    hash: str = ""
    full_size: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        if not self.entries:
            raise InputError("the set holds no layout")
        keys: set[str] = set()
        for entry in self.entries:
            if entry.key in keys:
                raise InputError("duplicate key", field=entry.key)
            keys.add(entry.key)
            _check_entry(entry, self.vocabulary)
        object.__setattr__(self, "hash", self.hash or content_hash(self.entries))
        object.__setattr__(self, "full_size", self.full_size or len(self.entries))

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def levels(self) -> tuple[int, ...]:
        """The numbers of instances that occur, ascending."""
        return tuple(sorted({entry.level for entry in self.entries}))

    @property
    def instance_count(self) -> int:
        """Instances of all entries together."""
        return sum(entry.level for entry in self.entries)

    def subset(self, limit: int) -> LayoutSet:
        """The first entries of each level: ``limit`` in all, rounded up to a multiple of 5, balanced over the levels.

        Where a level has too few entries the others fill up; a limit beyond the set's size gives the whole set.
        Entries keep their index, and the set its name and hash.

        Raises:
            InputError: a limit below 1.
        """
        if limit < 1:
            raise InputError(f"{limit} is not a positive number of layouts", field="limit")
        rank: dict[int, int] = {}
        turns: list[tuple[int, int, Entry]] = []
        for entry in self.entries:
            rank[entry.level] = rank.get(entry.level, 0) + 1
            turns.append((rank[entry.level], entry.level, entry))
        chosen = sorted(turns, key=lambda turn: turn[:2])[: 5 * -(-limit // 5)]
        return replace(self, entries=tuple(sorted((turn[2] for turn in chosen), key=lambda entry: entry.index)))


def content_hash(entries: Iterable[Entry]) -> str:
    """SHA-256 (hex) over the captions, labels and boxes in order, as canonical JSON; keys and ids do not count."""
    content = [
        [entry.layout.caption, [[one.phrase, list(one.box)] for one in entry.layout.instances]] for entry in entries
    ]
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def check_level(level: int, key: str) -> None:
    """Raise InputError for a number of instances that no layout of this benchmark has."""
    if not MIN_INSTANCES <= level <= MAX_INSTANCES:
        allowed = f"{MIN_INSTANCES} to {MAX_INSTANCES}"
        raise InputError(f"{level} instances; a layout of this benchmark has {allowed}", field=f"{key}.segment")


def _check_entry(entry: Entry, vocabulary: Vocabulary) -> None:
    check_level(entry.level, entry.key)
    for k, label in enumerate(entry.labels):
        for kind, word, known in (
            ("colour", label.colour, vocabulary.colours),
            ("category", label.category, vocabulary.categories),
        ):
            if word not in known:
                raise InputError(
                    f"unknown {kind} {word!r} (vocabulary: {vocabulary.name})",
                    field=f"{entry.key}.segment[{k}].label",
                )
