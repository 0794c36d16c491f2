"""Verdicts on what a layout asks for beside its instances: the action of an interaction, and the picture's style."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Outcome = Literal["right", "other", "none", "reversed"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
"""Another action; none at all; the right one from object to subject, where it has a direction."""


class ActionVerdict(NamedTuple):
    """found: the action that stands between subject and object, or None. margin: the judge's, over the next best."""

    found: str | None
    outcome: Outcome
    margin: float


class StyleVerdict(NamedTuple):
    """asked: that of the reference picture, by its name. margin: the judge's, of what it found over the next best."""

    asked: str
    found: str
    margin: float

    @property
    def success(self) -> bool:
        """The picture has the style that was asked for."""
        return self.found == self.asked


def action_outcome(asked: str, found: str | None, reversed: bool) -> Outcome:
    """What became of an interaction.

    Args:
        reversed: what was found points from the object to the subject.
    """
    if found is None:
        return "none"
    if found != asked:
        return "other"
    return "reversed" if reversed else "right"
