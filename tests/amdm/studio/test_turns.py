"""One after the other, in the order in which they came."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from amdm.errors import InputError
from amdm.studio.turns import Turns


def enter(turns: Turns, name: str, seen: list[str], left: threading.Event) -> threading.Thread:
    """In a thread that has come into line when this returns: it is told that it waits."""
    waits = threading.Event()

    def work() -> None:
        with turns.turn(left, lambda before: waits.set()) as came:
            seen.append(f"{name} {came}")

    thread = threading.Thread(target=work)
    thread.start()
    assert waits.wait(300)
    return thread


def test_they_come_in_order_and_one_that_leaves_is_not_waited_for() -> None:
    turns, seen, left = Turns(3), list[str](), [threading.Event() for _ in range(3)]
    with turns.turn(threading.Event(), pytest.fail) as came:
        assert came
        threads = [enter(turns, name, seen, own) for name, own in zip("abc", left, strict=True)]
        left[1].set()
        threads[1].join(300)
        assert seen == ["b False"]
    for thread in threads:
        thread.join(300)
    assert seen == ["b False", "a True", "c True"]


def test_the_line_is_bounded_and_tells_each_its_place() -> None:
    turns, told = Turns(1), list[int]()
    tell: Callable[[int], object] = told.append
    with turns.turn(threading.Event(), tell):
        thread = enter(turns, "a", [], threading.Event())
        with pytest.raises(InputError, match="1 others are waiting"), turns.turn(threading.Event(), tell):
            pass
    thread.join(300)
    with turns.turn(threading.Event(), tell) as came:  # nothing of them is left
        assert came and told == []


def test_one_that_was_asked_to_leave_before_it_came_does_not_come() -> None:
    left = threading.Event()
    left.set()
    with Turns(1).turn(left, pytest.fail) as came:
        assert not came
