"""How many actors each of two pools has: drawing pictures, and judging those that are drawn."""

from __future__ import annotations

from math import floor
from typing import NamedTuple

BACKLOG = 8
"""Batches that wait for each judge that is there or asked for: a model is not loaded for a passing queue."""


class Load(NamedTuple):
    """What a pool is asked for now.

    share: of the cluster's room that one of its actors takes. waiting, running: tasks. size: actors that it has.
    """

    share: float
    waiting: int
    running: int
    size: int

    @property
    def tasks(self) -> int:
        """All that are not done."""
        return self.waiting + self.running


def pool_sizes(room: float, drawing: Load, judging: Load) -> tuple[int, int]:
    """The size that each pool should have where ``room`` is for both, in the unit of their shares.

    Drawing has all the room but for a judge for each :data:`BACKLOG` batches that wait, which stays until none does.
    What waits to be judged has all the room that the last batches to be drawn leave. Where there is not room for one of
    each, they work one after the other. Actors for which there is no room wait for it, so that a cluster that can grow
    is asked to: at least one.

    >>> pool_sizes(8, Load(1, 100, 8, 8), Load(1, 0, 0, 0)), pool_sizes(8, Load(1, 0, 0, 7), Load(1, 20, 1, 1))
    ((8, 0), (0, 8))
    """
    if not drawing.waiting:
        kept = min(judging.size, 1) if drawing.running else 0
        most = _places(room - drawing.running * drawing.share, judging.share)
        return drawing.running, min(max(judging.tasks, kept), most)
    if room < drawing.share + judging.share:
        return min(drawing.tasks, _places(room, drawing.share)), 0
    judges = min(_judges(judging), _places(room - drawing.share, judging.share))
    return min(drawing.tasks, _places(room - judges * judging.share, drawing.share)), judges


def _judges(judging: Load) -> int:
    """While there is something to draw: one more where enough batches wait for it, none for an empty queue."""
    if judging.waiting >= BACKLOG * (judging.size + 1):
        return judging.size + 1
    return judging.size if judging.waiting else judging.running


def _places(room: float, share: float) -> int:
    return max(1, floor(room / share + 1e-9))
