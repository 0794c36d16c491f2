"""What a caller asks for: a caption, and instances (and interactions) at places of the picture."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from amdm.errors import Faults, InputError, in_file, instead, unknown
from amdm.io.files import read_text
from amdm.io.yaml import without_duplicates
from amdm.plain_number import plain

MAX_FILE_BYTES = 2**20
"""Bytes; a layout of a thousand instances has a tenth of it."""
MAX_SET_BYTES = 16 * 2**20
"""Bytes; 800 layouts have 400,000."""
FIELDS = ("caption", "segment", "interactions", "style", "image_id")
INSTANCE_FIELDS = ("label", "bbox")
INTERACTION_FIELDS = ("subject", "action", "object")
TOLERANCE = 1e-3
"""A coordinate outside [0, 1] by less is clipped: rounding, not another unit."""
_KINDS: dict[type, str] = {str: "a text", list: "a list", dict: "an object"}

Box = tuple[float, float, float, float]
"""(x1, y1, x2, y2), fractions of the picture's width and height, 0 ≤ x1 < x2 ≤ 1."""


@dataclass(frozen=True)
class Instance:
    """One object: what it is, and where.

    Args:
        phrase: its description, for example ``"a red bowl"``.
        box: xyxy in [0, 1]; numbers of Python, NumPy or torch, an array or a tensor. It is kept as Python's floats.

    Raises:
        InputError: empty phrase; box not four finite numbers in [0, 1] with x1 < x2 and y1 < y2.
    """

    phrase: str
    box: Box

    def __post_init__(self) -> None:
        if not isinstance(self.phrase, str) or not self.phrase.strip():
            raise InputError("must be a non-empty text", field="phrase")
        reject_lone_surrogates(self.phrase, "phrase")
        object.__setattr__(self, "box", checked_box(self.box))


@dataclass(frozen=True)
class Interaction:
    """A subject that does something to an object (InteractDiffusion's unit of conditioning)."""

    subject: Instance
    action: str
    object: Instance

    def __post_init__(self) -> None:
        if not isinstance(self.action, str) or not self.action.strip():
            raise InputError("must be a non-empty text", field="action")
        reject_lone_surrogates(self.action, "action")


@dataclass(frozen=True)
class Layout:
    """One picture to make.

    Args:
        caption: the global prompt.
        instances: placed objects.
        interactions: placed triples; :meth:`triples` makes more of the instances that are in none.
    """

    caption: str
    instances: tuple[Instance, ...] = ()
    interactions: tuple[Interaction, ...] = field(default=())

    def __post_init__(self) -> None:
        if not isinstance(self.caption, str):
            raise InputError("must be a text", field="caption")
        reject_lone_surrogates(self.caption, "caption")
        for name, kind in (("instances", Instance), ("interactions", Interaction)):
            items = tuple(getattr(self, name))
            for k, one in enumerate(items):
                if not isinstance(one, kind):
                    raise InputError(f"is a {type(one).__name__}; it must be an {kind.__name__}", field=f"{name}[{k}]")
            object.__setattr__(self, name, items)

    def placed(self) -> tuple[Instance, ...]:
        """The instances; without any, the subjects and objects of the interactions, each once."""
        pairs = (one for triple in self.interactions for one in (triple.subject, triple.object))
        return self.instances or tuple(dict.fromkeys(pairs))

    def triples(self) -> tuple[Interaction, ...]:
        """The interactions, and each instance in none of them "and" itself (`infer800.py`).

        An instance is in one if box and phrase are its subject's or object's; another phrase on the same box says more.
        """
        related = {one for triple in self.interactions for one in (triple.subject, triple.object)}
        alone = (one for one in self.instances if one not in related)
        return (*self.interactions, *(Interaction(one, "and", one) for one in alone))


def reject_lone_surrogates(text: str, field: str | None = None) -> str:
    """The text itself. JSON may hold lone surrogates, which cannot be encoded as UTF-8.

    Raises:
        InputError: it holds one.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError("holds half of a surrogate pair", field=field)
    return text


_FORM = "boxes are x1, y1, x2, y2 (corners, not width and height) as fractions of the picture"


def checked_box(box: Sequence[float]) -> Box:
    """``box`` as four floats.

    Raises:
        InputError: naming the coordinate that is not a finite number in [0, 1], or the side that is empty.
    """
    box = plain(box)
    if isinstance(box, str | bytes) or not isinstance(box, Sequence) or len(box) != 4:
        raise InputError("must be four numbers [x1, y1, x2, y2]", field="box")
    box = [plain(value) for value in box]
    for name, value in zip(("x1", "y1", "x2", "y2"), box, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
            raise InputError(f"{name} is not a finite number", field="box")
        if not 0.0 <= value <= 1.0:  # compared as it is: an integer of 400 digits is no float
            shown = repr(value) if -1e300 < value < 1e300 else "a huge number"
            raise InputError(f"{name} = {shown} is outside [0, 1]; {_FORM}", field="box")
    x1, y1, x2, y2 = (float(value) for value in box)
    if x2 <= x1 or y2 <= y1:
        what = f"x2 ≤ x1 ({x2!r} ≤ {x1!r})" if x2 <= x1 else f"y2 ≤ y1 ({y2!r} ≤ {y1!r})"
        raise InputError(f"{what}: the box is empty; {_FORM}", field="box")
    return x1, y1, x2, y2


@dataclass(frozen=True)
class LayoutEntry:
    """What stands in a file for one picture.

    Args:
        layout: caption, instances and interactions.
        style: path of a style image, relative to the file, or None.
        image_id: the picture that it was made from, or "".
        clipped: boxes that reached outside by less than :data:`TOLERANCE`, and were clipped.
        padding: instances with the label "" at [0, 0, 0, 0], which MIGC's lists are filled up with, left out.
    """

    layout: Layout
    style: str | None = None
    image_id: str = ""
    clipped: int = 0
    padding: int = 0


def read_layout(path: str | Path, key: str | None = None) -> tuple[Layout, Path | None]:
    """A layout and its style image, if it names one.

    key: which of a set of layouts; the only one of a set needs none, and a file with one layout has none.

    A JSON object with ``caption``; ``segment``, a list of ``{"label", "bbox"}`` (xyxy in [0, 1]); ``interactions``, a
    list of ``{"subject": {"label", "bbox"}, "action", "object": {"label", "bbox"}}``; ``style``, the path of an image,
    relative to the file; ``image_id``, which is not used here. What was clipped or left out is said on stderr.

    Raises:
        InputError: naming the file and every field that is missing, unknown or wrong.
    """
    path = Path(path)
    content = read_object(
        path, MAX_FILE_BYTES if key is None else MAX_SET_BYTES, "must be a JSON object with caption and segment"
    )
    with in_file(path):
        entry = parse_entry(_one_of(content, key))
    for note in notes(entry.clipped, entry.padding):
        print(f"{InputError(note, file=path)}", file=sys.stderr)
    return entry.layout, None if entry.style is None else path.parent / entry.style


def _one_of(content: dict[str, Any], key: str | None) -> Any:
    """The layout that a file holds, or that of ``key`` in a set."""
    if not content or not all(isinstance(one, dict) and "caption" in one for one in content.values()):
        if key is not None:
            raise InputError("is of a set of layouts; the file holds one layout", field="key")
        return content
    if key is None and len(content) > 1:
        keys = ", ".join(list(content)[:3])
        raise InputError(f"is a set of layouts ({keys}, …); name one of them (--key)")
    if key is not None and key not in content:
        raise unknown("key of these layouts", key, content, field="key")
    return content[next(iter(content)) if key is None else key]


def read_object(path: Path, most: int, otherwise: str = "must be one object") -> dict[str, Any]:
    """A JSON object of at most ``most`` bytes.

    Raises:
        InputError: it is anything else (which is what ``otherwise`` says), or holds a duplicate key at any depth.
    """
    text = read_text(path, most)
    try:
        content = json.loads(text, object_pairs_hook=without_duplicates)
    except InputError as error:
        raise error.within(file=path) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", file=path) from None
    if not isinstance(content, dict):
        raise InputError(otherwise, file=path)
    return content


def parse_entry(content: Any, check_label: Callable[[str], object] | None = None) -> LayoutEntry:
    """The one reader of a layout, alone in a file or in a set.

    Args:
        check_label: raises InputError for a label that no instance may have.

    Raises:
        InputError: naming every field that is missing, unknown or wrong.
    """
    reading = _Reading(Faults(), check_label)
    check_fields(reading.faults, content, FIELDS)
    caption, style, image_id = "", None, ""
    with reading.faults.at():
        caption = _member(content, "caption", str)
    instances = reading.each(content, "segment", reading.placed)
    interactions = reading.each(content, "interactions", reading.interaction)
    with reading.faults.at():
        style = _style(content)
    with reading.faults.at():
        image_id = _image_id(content)
    reading.faults.check()
    layout = Layout(caption, tuple(instances), tuple(interactions))
    return LayoutEntry(layout, style, image_id, reading.clipped, reading.padding)


def is_padding(item: Any) -> bool:
    """Whether an item of ``segment`` is none: label "" at [0, 0, 0, 0]."""
    return isinstance(item, dict) and item.get("label") == "" and item.get("bbox") == [0, 0, 0, 0]


def notes(clipped: int, padding: int) -> list[str]:
    """Lines that say what was not read as it stands."""
    found = []
    if clipped:
        boxes = "box reaches" if clipped == 1 else "boxes reach"
        found.append(f"{clipped} {boxes} outside the picture by less than {TOLERANCE:g}: clipped")
    if padding:
        found.append(f'{padding} instance{"s"[: padding > 1]} of padding (label "" at [0, 0, 0, 0]): left out')
    return found


@dataclass
class _Reading:
    """One entry being read: its faults so far, and what is counted."""

    faults: Faults
    check_label: Callable[[str], object] | None
    clipped: int = 0
    padding: int = 0

    def each(self, content: dict[str, Any], name: str, read: Callable[[Any], Any]) -> list[Any]:
        """A list's items, read one by one; without padding."""
        result: list[Any] = []
        with self.faults.at():
            items = _member(content, name, list) if name in content else []
            for k, item in enumerate(items):
                if name == "segment" and is_padding(item):
                    self.padding += 1
                    continue
                with self.faults.at(f"{name}[{k}]"):
                    result.append(read(item))
        return result

    def placed(self, item: Any) -> Instance:
        """Of ``segment``, where labels may have to be of a form."""
        return self.instance(item, self.check_label)

    def instance(self, item: Any, check_label: Callable[[str], object] | None = None) -> Instance:
        faults, label, box = Faults(), "", (0.0, 0.0, 1.0, 1.0)
        check_fields(faults, item, INSTANCE_FIELDS)
        with faults.at():
            label = _text(item, "label")
            if check_label is not None:
                check_label(label)
        with faults.at():
            box = self.box(_member(item, "bbox", list))
        faults.check()
        return Instance(label, box)

    def box(self, values: list[Any]) -> Box:
        clipped = [_clipped(value) for value in values]
        try:
            box = checked_box(clipped)
        except InputError as error:
            raise InputError(error.what, field="bbox") from None
        self.clipped += clipped != values
        return box

    def interaction(self, item: Any) -> Interaction:
        faults, action = Faults(), ""
        ends: dict[str, Instance] = {}
        check_fields(faults, item, INTERACTION_FIELDS)
        for name in ("subject", "object"):
            with faults.at():
                end = _member(item, name, dict)
                with faults.at(name):
                    ends[name] = self.instance(end)
        with faults.at():
            action = _text(item, "action")
        faults.check()
        return Interaction(ends["subject"], action, ends["object"])


def check_fields(faults: Faults, content: Any, known: tuple[str, ...]) -> None:
    """Note each field that is not known. Raises InputError for what has no fields."""
    if not isinstance(content, dict):
        raise InputError("must be an object")
    for name in content:
        if name not in known:
            with faults.at():
                raise InputError(f"is unknown; {instead(name, known)}", field=str(name))


def _member(content: dict[str, Any], name: str, kind: type) -> Any:
    if name not in content:
        raise InputError("is missing", field=name)
    if not isinstance(content[name], kind):
        raise InputError(f"must be {_KINDS[kind]}", field=name)
    return reject_lone_surrogates(content[name], name) if kind is str else content[name]


def _text(content: dict[str, Any], name: str) -> str:
    text: str = _member(content, name, str)
    if not text.strip():
        raise InputError("must be a non-empty text", field=name)
    return text


def _clipped(value: Any) -> Any:
    """A coordinate; 0 or 1 where it is outside by less than :data:`TOLERANCE`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if -TOLERANCE < value < 0:
        return 0.0
    return 1.0 if 1 < value < 1 + TOLERANCE else value


def _style(content: dict[str, Any]) -> str | None:
    """A path that stays in the file's folder: a stranger's layout shall not open what lies elsewhere."""
    if "style" not in content:
        return None
    text: str = _member(content, "style", str)
    path = PurePosixPath(text)
    if not path.name or path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text:
        raise InputError("must be the name of a file beside the layout file, or in a folder there", field="style")
    return text


def _image_id(content: dict[str, Any]) -> str:
    found = content.get("image_id", "")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise InputError("must be a text or an integer", field="image_id")
    return reject_lone_surrogates(str(found), "image_id")
