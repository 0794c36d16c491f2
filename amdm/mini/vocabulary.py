"""The words of the mini world: the benchmark's seven colours, and eight shapes in place of COCO's categories."""

from __future__ import annotations

COLOURS: tuple[str, ...] = ("red", "blue", "green", "yellow", "black", "white", "brown")
CATEGORIES: tuple[str, ...] = ("circle", "square", "triangle", "diamond", "cross", "ring", "hourglass", "arch")

SPECIAL_TOKENS: tuple[str, ...] = ("<|pad|>", "<|unknown|>", "<|startoftext|>", "<|endoftext|>")
WORDS: tuple[str, ...] = ("a", "photo", "of", "and", *COLOURS, *CATEGORIES)


def label(colour: str, category: str) -> str:
    """``"a <colour> <category>"``, the benchmark's label grammar (the article is always "a")."""
    return f"a {colour} {category}"


def caption(labels: tuple[str, ...] | list[str]) -> str:
    """The benchmark's caption grammar, with its trailing space."""
    return "a photo of " + "and ".join(f"{one} " for one in labels)
