"""The categories that the labels of a layout set may use."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from amdm.mini.vocabulary import ACTIONS, STYLES
from amdm.mini.vocabulary import CATEGORIES as SHAPES

SHOWN_WORDS = 3
"""Of those that a note is about."""


@dataclass(frozen=True)
class Vocabulary:
    """categories: those that are allowed; any where there are none. actions, styles: those that can be judged; others
    may be asked for, too. Colours that can be judged are those of :mod:`bench.cocomig.colour`, in any of them.
    """

    name: str
    categories: tuple[str, ...]
    actions: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()

    @property
    def usual(self) -> tuple[str, ...]:
        """The categories that a misspelt word may mean."""
        return self.categories or (*COCO.categories, *MINI.categories)

    def knows(self, category: str) -> bool:
        """Whether it is one of :attr:`usual`."""
        return category in self.usual


_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag,
tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard,
tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote,
keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""

COCO = Vocabulary("coco", tuple(name.strip() for name in _COCO.split(",")))
"""The 80 categories of COCO's instance annotations."""

MINI = Vocabulary("mini", SHAPES, ACTIONS, STYLES)
"""The shapes of the mini world, its actions and styles."""

OWN = Vocabulary("own", ())
"""Of sets with categories that are neither all COCO's nor all shapes."""


def vocabulary_of(categories: Iterable[str]) -> Vocabulary:
    """Shapes where all are, COCO's where all are; else a user's own. The two have no word in common."""
    asked = set(categories)
    return next((one for one in (MINI, COCO) if asked <= set(one.categories)), OWN)


def near_words(text: str, known: Iterable[str]) -> str:
    """What a word of the text may be a misspelling of, or "" where all are unlike, or the very ones."""
    whole, there = text.casefold(), set(known)
    if whole in there:
        return whole if whole != text else ""
    for one in (whole, *whole.split()):
        close = get_close_matches(one[:60], there, 1, 0.75)
        if close and one not in there:
            return close[0]
    return ""


def quoted(texts: Iterable[str], known: Collection[str] = (), most: int = SHOWN_WORDS) -> str:
    """The first different ones, with which of the known words each may be a misspelling of."""
    distinct = list(dict.fromkeys(texts))
    shown = [
        f"{one[:80]!r} (did you mean {near}?)" if (near := near_words(one, known)) else repr(one[:80])
        for one in distinct[:most]
    ]
    return ", ".join(shown) + (f" and {len(distinct) - most} more" if len(distinct) > most else "")
