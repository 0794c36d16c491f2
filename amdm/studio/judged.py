"""What a judge says of a picture, and finding the judge that is installed.

amdm knows no judge: one comes from outside, as an object of the form :class:`Judge`, by the entry point
``amdm.studio``. So the page is scored wherever ``bench`` is installed, and ``amdm`` imports nothing of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from amdm.layout import Box, Layout

GROUP = "amdm.studio"
"""Of entry points; the one named ``judge`` is a function from a profile's name to a judge, or None."""
Kind = Literal["right", "wrong_colour", "wrong_place", "nothing", "unjudged"]
SIGNS: dict[Kind, tuple[str, str]] = {
    "right": ("✓", "right"),
    "wrong_colour": ("C", "wrong colour"),
    "wrong_place": ("P", "wrong place"),
    "nothing": ("N", "nothing found"),
    "unjudged": ("–", "not judged"),
}
"""Kind → its letter and its words: a verdict is never told by a colour alone."""


@dataclass(frozen=True)
class BoxVerdict:
    """Of one instance. kind: what became of it. reason: the numbers behind it, or why it was not judged.

    found: the box that was found, xyxy in [0, 1], or None.
    """

    kind: Kind
    reason: str = ""
    found: Box | None = None


@dataclass(frozen=True)
class OtherVerdict:
    """Of an interaction or of the style. asked: what was asked for, in words. right: None where it was not judged."""

    asked: str
    right: bool | None
    reason: str = ""


@dataclass(frozen=True)
class Judged:
    """Of one picture. boxes: one an instance, in the layout's order. others: interactions, then the style."""

    boxes: tuple[BoxVerdict, ...]
    others: tuple[OtherVerdict, ...] = ()


def not_judged(layout: Layout, reason: str) -> Judged:
    """Of a picture that the judge could say nothing of."""
    asked = [f"{one.subject.phrase} {one.action} {one.object.phrase}" for one in layout.interactions]
    boxes = (BoxVerdict("unjudged", reason),) * len(layout.instances)
    return Judged(boxes, tuple(OtherVerdict(one, None, reason) for one in asked))


class Judge(Protocol):
    """Says what of a layout stands in a picture."""

    def __call__(self, image: np.ndarray, layout: Layout, style: Image.Image | None) -> Judged:
        """image: uint8 RGB (H, W, 3). style: the reference picture, where one was given."""
        ...


JudgeSource = Callable[[str], "Judge | None"]
"""From a profile's name to its judge; None where it has none."""


def no_judge(profile: str) -> Judge | None:
    """Where none is installed."""
    return None


def installed_judge() -> JudgeSource:
    """The judge of the entry point, or :func:`no_judge`; one that cannot be imported is said on stderr."""
    for one in entry_points(group=GROUP, name="judge"):
        try:
            found: JudgeSource = one.load()
        except Exception as error:  # whatever a package of somebody's does when it is imported
            print(f"the judge {one.value} cannot be loaded, pictures are not scored: {error}", file=sys.stderr)
        else:
            return found
    return no_judge
