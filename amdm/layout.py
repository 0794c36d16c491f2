"""What a caller asks for: a caption, and instances (and interactions) at places of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from amdm.errors import InputError

Box = tuple[float, float, float, float]
"""(x1, y1, x2, y2), fractions of the picture's width and height, 0 ≤ x1 < x2 ≤ 1."""


@dataclass(frozen=True)
class Instance:
    """One object: what it is, and where.

    Args:
        phrase: its description, for example ``"a red bowl"``.
        box: xyxy in [0, 1].

    Raises:
        InputError: empty phrase; box not four finite numbers in [0, 1] with x1 < x2 and y1 < y2.
    """

    phrase: str
    box: Box

    def __post_init__(self) -> None:
        if not isinstance(self.phrase, str) or not self.phrase.strip():
            raise InputError("must be a non-empty text", field="phrase")
        whole_text(self.phrase, "phrase")
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
        whole_text(self.action, "action")


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
        whole_text(self.caption, "caption")
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
        """The interactions, and each instance in none of them (by its box) "and" itself (`infer800.py`)."""
        boxes = {one.box for triple in self.interactions for one in (triple.subject, triple.object)}
        alone = (one for one in self.instances if one.box not in boxes)
        return (*self.interactions, *(Interaction(one, "and", one) for one in alone))


def whole_text(text: str, field: str | None = None) -> str:
    """The text itself. JSON can hold half of a surrogate pair, which is no character: no tokenizer takes it, no file.

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
    if isinstance(box, str | bytes) or not isinstance(box, Sequence) or len(box) != 4:
        raise InputError("must be four numbers [x1, y1, x2, y2]", field="box")
    for name, value in zip(("x1", "y1", "x2", "y2"), box, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
            raise InputError(f"{name} is not a finite number", field="box")
        if not 0.0 <= value <= 1.0:  # compared as it is: an integer of 400 digits is no float
            shown = f"{value:g}" if -1e300 < value < 1e300 else "a huge number"
            raise InputError(f"{name} = {shown} is outside [0, 1]; {_FORM}", field="box")
    x1, y1, x2, y2 = (float(value) for value in box)
    if x2 <= x1 or y2 <= y1:
        what = "x2 ≤ x1" if x2 <= x1 else "y2 ≤ y1"
        raise InputError(f"{what}: the box is empty; {_FORM}", field="box")
    return x1, y1, x2, y2
