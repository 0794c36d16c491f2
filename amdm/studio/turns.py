"""One job at a time, in the order in which they came; whoever waits may leave."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from amdm.errors import InputError

LOOK_SECONDS = 0.2
"""How often one that waits looks whether it was asked to leave."""


class Turns:
    """A line. most: how many may wait beside the one whose turn it is."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._line: deque[object] = deque()
        self._moved = threading.Condition()

    @contextmanager
    def turn(self, left: threading.Event, waiting: Callable[[int], object]) -> Iterator[bool]:
        """Wait for a turn, which lasts until the context ends. Yields whether it came before ``left`` was set.

        waiting: is told how many are before this one, whenever that changes; not by one that need not wait.

        Raises:
            InputError: as many wait as may.
        """
        mine = object()
        with self._moved:
            if len(self._line) > self.most:
                raise InputError(f"{self.most} others are waiting for the models: try again in a while")
            self._line.append(mine)
        try:
            yield self._came(mine, left, waiting)
        finally:
            with self._moved:
                self._line.remove(mine)
                self._moved.notify_all()

    def _came(self, mine: object, left: threading.Event, waiting: Callable[[int], object]) -> bool:
        told = 0
        with self._moved:
            while (before := self._line.index(mine)) and not left.is_set():
                if before != told:
                    waiting(before)
                    told = before
                self._moved.wait(LOOK_SECONDS)
            if told and not before:
                waiting(0)
        return not before and not left.is_set()
