"""The words of the mini world: the benchmark's seven colours, eight shapes in place of COCO's categories, four actions.

Styles have names here, too, and no word: a style is told by a picture.
"""

from __future__ import annotations

COLOURS: tuple[str, ...] = ("red", "blue", "green", "yellow", "black", "white", "brown")
CATEGORIES: tuple[str, ...] = ("circle", "square", "triangle", "diamond", "cross", "ring", "hourglass", "arch")
ACTIONS: tuple[str, ...] = ("joins", "flanks", "chains", "pushes")
DIRECTED: tuple[str, ...] = ("pushes",)
"""Actions whose mark tells subject from object."""
STYLES: tuple[str, ...] = ("plain", "stripes", "checks", "dots", "rings", "split")

SPECIAL_TOKENS: tuple[str, ...] = ("<|pad|>", "<|unknown|>", "<|startoftext|>", "<|endoftext|>")
WORDS: tuple[str, ...] = ("a", "photo", "of", "and", *COLOURS, *CATEGORIES, *ACTIONS)


def label(colour: str, category: str) -> str:
    """``"a <colour> <category>"``, the benchmark's label grammar (the article is always "a")."""
    return f"a {colour} {category}"


LABELS = frozenset(label(colour, category) for colour in COLOURS for category in CATEGORIES)
"""All phrases that the mini models know."""


def caption(labels: tuple[str, ...] | list[str]) -> str:
    """The benchmark's caption grammar, with its trailing space."""
    return "a photo of " + "and ".join(f"{one} " for one in labels)
