"""A set of layouts in COCO-MIG form: 1 … 12 objects a layout, coloured or not, identified by a hash of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from amdm.errors import Faults, InputError, unknown
from amdm.layout import Instance, Interaction, Layout
from bench.cocomig.colour import HSV_RANGES
from bench.layouts.vocabulary import MINI, Vocabulary, quoted

MIN_INSTANCES, MAX_INSTANCES = 1, 12
ARTICLES = ("a", "an", "the")


@dataclass(frozen=True)
class Label:
    """``"a red bowl"`` in parts. The category may hold spaces ("dining table").

    article: "" where there is none. colour: one that can be judged (:data:`bench.cocomig.colour.HSV_RANGES`), or ""
    where none is named: the instance is judged by its place alone. category: what a detector is asked for.
    """

    article: str
    colour: str
    category: str

    @classmethod
    def parse(cls, text: str) -> Label:
        """An article, if there is one, then a colour, if it can be judged, and the rest is the category. Labels of the
        benchmark come out as of the official evaluator, which splits at the first two spaces.

        Raises:
            InputError: no word at all.

        >>> Label.parse("a brown dining table")
        Label(article='a', colour='brown', category='dining table')
        >>> Label.parse("orange cat")
        Label(article='', colour='', category='orange cat')
        """
        words = text.split()
        if not words:
            raise InputError("must be a non-empty text", field="label")
        article = words.pop(0) if len(words) > 1 and words[0].lower() in ARTICLES else ""
        colour = words.pop(0).lower() if len(words) > 1 and words[0].lower() in HSV_RANGES else ""
        return cls(article, colour, " ".join(words))

    def __str__(self) -> str:
        return " ".join(part for part in (self.article, self.colour, self.category) if part)


class AskedAction(NamedTuple):
    """An interaction that is judged: ``action`` is one of the vocabulary's, the others are indices of instances."""

    subject: int
    action: str
    object: int


@dataclass(frozen=True)
class Entry:
    """One layout of a set.

    Args:
        index: position in the whole set, from 0; kept by subsets.
        key: the entry's name in its file, by which image files refer to it.
        image_id: the COCO image that it was built from, or "".
        layout: caption, and instances whose phrases are the coloured labels; interactions, if the file has any.
        style: a style image, or None.
        labels: the phrases in parts, in the order of the instances.
        actions: the interactions with an action of the mini world, which are judged, each once; others only go to the
            models.

    Raises:
        InputError: a subject or object of such an action that is none of the instances.
    """

    index: int
    key: str
    image_id: str
    layout: Layout
    style: Path | None = None
    labels: tuple[Label, ...] = field(init=False)
    actions: tuple[AskedAction, ...] = field(init=False)

    def __post_init__(self) -> None:
        labels = tuple(Label.parse(instance.phrase) for instance in self.layout.instances)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "actions", self._actions())

    def _actions(self) -> tuple[AskedAction, ...]:
        if not self.of_shapes:
            return ()
        found = []
        for k, one in enumerate(self.layout.interactions):
            if told_apart(one):
                ends = (self._index(one.subject, f"interactions[{k}].subject"), one.action)
                found.append(AskedAction(*ends, self._index(one.object, f"interactions[{k}].object")))
        return tuple(dict.fromkeys(found))

    def _index(self, one: Instance, field: str) -> int:
        if one not in self.layout.instances:
            raise InputError(f"{one.phrase!r} at {list(one.box)} is none of segment, where it is judged", field=field)
        return self.layout.instances.index(one)

    @property
    def of_shapes(self) -> bool:
        """Whether it is of the mini world, where actions and styles can be judged, too."""
        return all(label.category in MINI.categories for label in self.labels)

    @property
    def pairs(self) -> tuple[AskedAction, ...]:
        """The interactions between two of the instances, whatever their action, each once: what judges of full size are
        asked."""
        own = self.layout.instances
        found = (
            AskedAction(own.index(one.subject), one.action, own.index(one.object))
            for one in self.layout.interactions
            if one.subject in own and one.object in own
        )
        return tuple(dict.fromkeys(found))

    @property
    def level(self) -> int:
        """The number of instances."""
        return len(self.layout.instances)

    @property
    def verdicts(self) -> int:
        """How many verdicts a picture of it gets: one an instance, a judged interaction, and the style."""
        return self.level + len(self.actions) + self.asks_style

    @property
    def asks_style(self) -> bool:
        """Whether the style is judged: one of the mini world's, by the name of its file."""
        return self.of_shapes and self.style_name in MINI.styles

    @property
    def unjudged_actions(self) -> tuple[str, ...]:
        """The actions of interactions that only go to the models, each interaction once."""
        different = dict.fromkeys(self.layout.interactions)
        return tuple(one.action for one in different if not (self.of_shapes and told_apart(one)))

    @property
    def style_name(self) -> str:
        """What the style picture's file says of it: ``styles/stripes-03.png`` → ``"stripes"``; "" without a number, and
        without a picture."""
        name, _, number = ("" if self.style is None else self.style.stem).rpartition("-")
        return name if number.isdecimal() else ""


@dataclass(frozen=True)
class LayoutSet:
    """Layouts to be measured together.

    Args:
        name: how tables call it.
        entries: at least one, with distinct keys, of 1 … 12 instances each.
        vocabulary: the categories that its labels may use.
        hash: identity of the whole set; computed, and kept by :meth:`subset`, so that a layout has the same
            initial noise in a subset as in the whole.
        full_size: number of entries of the whole set; computed, and kept by :meth:`subset`.
        notes: what was not read as it stands in the file, for whoever reads it.

    Raises:
        InputError: naming the entries and the fields.
    """

    name: str
    entries: tuple[Entry, ...]
    vocabulary: Vocabulary
    hash: str = ""
    full_size: int = 0
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        if not self.entries:
            raise InputError("the set holds no layout")
        keys: set[str] = set()
        faults = Faults()
        for entry in self.entries:
            if entry.key in keys:
                raise InputError("duplicate key", field=entry.key)
            keys.add(entry.key)
            with faults.at():
                _check_entry(entry, self.vocabulary)
        faults.check()
        object.__setattr__(self, "hash", self.hash or content_hash(self.entries))
        object.__setattr__(self, "full_size", self.full_size or len(self.entries))

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def levels(self) -> tuple[int, ...]:
        """The numbers of instances that occur, ascending."""
        return tuple(sorted({entry.level for entry in self.entries}))

    @property
    def asks_conditions(self) -> bool:
        """Whether verdicts are of interactions or styles, too."""
        return any(entry.verdicts > entry.level for entry in self.entries)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """What is asked for beside instances and no verdict is given on, one line a kind."""
        actions = [action for entry in self.entries for action in entry.unjudged_actions]
        styles = [one.style.name for one in self.entries if one.style is not None and not one.asks_style]
        return unjudged_lines(actions, styles)

    @property
    def remarks(self) -> tuple[str, ...]:
        """For whoever reads or runs it: notes, and what is not judged."""
        return (*self.notes, *self.unjudged)

    @property
    def renderable(self) -> bool:
        """Whether the mini world's renderer can draw what is asked for, so that there is a ceiling."""
        styled = all(one.style is None or one.asks_style for one in self.entries)
        return self.vocabulary == MINI and styled and all(one.colour for entry in self.entries for one in entry.labels)

    @property
    def judging_notes(self) -> tuple[str, ...]:
        """What verdicts on its instances cannot say, for tables and readers of the set; nothing of the benchmark's."""
        labels = [label for entry in self.entries for label in entry.labels]
        notes = []
        if plain := [one for one in labels if not one.colour]:
            words = quoted([str(one) for one in plain], HSV_RANGES)
            what = "name no colour that can be judged, and count by their place alone"
            notes.append(f"{len(plain)} of {len(labels)} instances {what}: {words}")
        if not self.vocabulary.categories:
            own = [one.category for one in labels if not self.vocabulary.knows(one.category)]
            asked = "which the detector is asked for as they are written"
            mine = f"{len(own)} of {len(labels)} instances have categories of your own, {asked}"
            words = f"{mine}: {quoted(own, self.vocabulary.usual)}"
            notes.append(words if own else f"categories are COCO's and shapes together, {asked}")
        return tuple(notes)

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
        return self.first(5 * -(-limit // 5))

    def first(self, count: int) -> LayoutSet:
        """As :meth:`subset`, of ``count`` entries to the letter."""
        chosen = in_turn(self.entries)[:count]
        return replace(self, entries=tuple(sorted(chosen, key=lambda entry: entry.index)))


def unjudged_lines(actions: Sequence[str], styles: Sequence[str]) -> tuple[str, ...]:
    """What is asked for and not judged, a line a kind: names of actions, and of style pictures' files."""
    kinds = (("interactions", actions), ("style pictures", styles))
    return tuple(f"{len(own)} {kind} are asked for and not judged: {quoted(own)}" for kind, own in kinds if own)


def in_turn(entries: Sequence[Entry]) -> list[Entry]:
    """The first entry of each level, then the second of each, …: a smaller subset is the beginning of a larger one."""
    rank: dict[int, int] = {}
    turns: list[tuple[int, int, Entry]] = []
    for entry in entries:
        rank[entry.level] = rank.get(entry.level, 0) + 1
        turns.append((rank[entry.level], entry.level, entry))
    return [turn[2] for turn in sorted(turns, key=lambda turn: turn[:2])]


def balanced(entries: Sequence[Entry], count: int = 10) -> list[Entry]:
    """The first entries of each level in turn, ``count`` in all, sorted by level."""
    return sorted(in_turn(entries)[:count], key=lambda entry: (entry.level, entry.index))


def told_apart(one: Interaction) -> bool:
    """Whether there is a judge of such an interaction between shapes."""
    return one.action in MINI.actions and one.subject != one.object


def content_hash(entries: Iterable[Entry]) -> str:
    """SHA-256 (hex) over captions, labels and boxes in order, as canonical JSON; keys and ids do not count.

    Interactions and names of style images count where there are any: a set without has the hash that it always had.
    """
    text = json.dumps([_content(one) for one in entries], ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _content(entry: Entry) -> list[Any]:
    def placed(one: Instance) -> list[Any]:
        return [one.phrase, list(one.box)]

    triples = [[placed(one.subject), one.action, placed(one.object)] for one in entry.layout.interactions]
    more = {"interactions": triples} if triples else {}
    style = {"style": entry.style.name} if entry.style is not None else {}
    plain = [entry.layout.caption, [placed(one) for one in entry.layout.instances]]
    return [*plain, {**more, **style}] if more or style else plain


def check_level(level: int) -> None:
    """Raise InputError for a number of instances that a layout of a set may not have."""
    if not MIN_INSTANCES <= level <= MAX_INSTANCES:
        allowed = f"{MIN_INSTANCES} to {MAX_INSTANCES}"
        raise InputError(f"{level} instances; a layout of a set has {allowed}", field="segment")


def _check_entry(entry: Entry, vocabulary: Vocabulary) -> None:
    faults = Faults()
    with faults.at(entry.key):
        check_level(entry.level)
    for k, label in enumerate(entry.labels):
        with faults.at(f"{entry.key}.segment[{k}].label"):
            if vocabulary.categories and label.category not in vocabulary.categories:
                where = f" (vocabulary: {vocabulary.name})"
                see = "docs/layout-files.md lists them"
                raise unknown("category", label.category, vocabulary.categories, see=see, more=where)
    faults.check()
