"""Colours of methods and verdicts, of the page and of figures alike: told apart by the colour-blind, too."""

from __future__ import annotations

METHODS = ("#0072b2", "#d55e00", "#00866b", "#b0478a", "#6b4a00", "#3a93cf", "#5f5f5f")
"""By a method's place in its run, in turn; on a light ground, at a contrast of 3 or more with white."""
METHODS_ON_DARK = ("#56b0ec", "#ff8a45", "#2fcfa6", "#e58cc2", "#f0bc3c", "#9ad4ff", "#d9d9d9")
VERDICTS = {"right": "#00a878", "wrong_colour": "#e69f00", "wrong_place": "#4aa3df", "nothing": "#cc6fa5"}
"""What becomes of an instance; on either ground."""
CEILING = "#57606a"
"""Of true renderings, which are no method."""


def mark_of(style: int) -> tuple[int, int, bool]:
    """(colour, shape, hollow) of a method by its place in its run: colour and shape are places in lists of seven.

    >>> [mark_of(style) for style in (0, 7, 14)]
    [(0, 0, False), (0, 0, True), (0, 3, False)]
    """
    turn, colour = divmod(style, len(METHODS))
    return colour, (colour + 3 * (turn // 2)) % len(METHODS), turn % 2 == 1


def css_variables() -> str:
    """Style sheet: ``--s0`` … of methods and ``--right`` … of verdicts, on light grounds and on dark ones."""

    def root(colours: dict[str, str]) -> str:
        return ":root { " + " ".join(f"--{name}: {colour};" for name, colour in colours.items()) + " }"

    light, dark = ({f"s{k}": one for k, one in enumerate(colours)} for colours in (METHODS, METHODS_ON_DARK))
    return f"{root(VERDICTS | light)}\n@media (prefers-color-scheme: dark) {{ {root(dark)} }}"
