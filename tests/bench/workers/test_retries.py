from __future__ import annotations

import pytest

from bench.workers.retries import ATTEMPTS, attempt


def work_of(memory: int = 99, broken: frozenset[int] = frozenset(), calls: list[int] | None = None) -> object:
    """Doubles numbers; has room for ``memory`` of them, and fails on those that are ``broken``."""

    def work(items: tuple[int, ...]) -> list[int]:
        if calls is not None:
            calls.append(len(items))
        if len(items) > memory:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if broken & set(items):
            raise ValueError("broken")
        return [2 * item for item in items]

    return work


def name(items: tuple[int, ...]) -> str:
    return f"{len(items)} from {items[0]}"


@pytest.mark.parametrize(("memory", "sizes"), [(9, [7]), (4, [4, 3]), (2, [2, 2, 2, 1]), (1, [1] * 7)])
def test_out_of_memory_halves_until_it_fits(memory: int, sizes: list[int]) -> None:
    events: list[str] = []
    done = attempt(tuple(range(7)), work_of(memory), name, events)  # type: ignore[arg-type]
    assert [len(part.items) for part in done] == sizes
    assert [made for part in done for made in part.made] == [2 * k for k in range(7)]  # type: ignore[union-attr]
    assert all(part.number == 1 and part.error is None and part.seconds > 0 for part in done)
    assert len(events) == len(sizes) - 1 and all("out of memory" in event for event in events)


def test_another_error_is_tried_item_by_item_three_times() -> None:
    events: list[str] = []
    calls: list[int] = []
    done = attempt((0, 1, 2), work_of(broken=frozenset({1}), calls=calls), name, events)  # type: ignore[arg-type]
    assert calls == [3, 1, *[1] * ATTEMPTS, 1]
    assert [(part.items, part.made, part.error, part.number) for part in done] == [
        ((0,), [0], None, 1),
        ((1,), None, "ValueError: broken", ATTEMPTS),
        ((2,), [4], None, 1),
    ]
    assert events == ["3 from 0: ValueError: broken", *["1 from 1: ValueError: broken"] * ATTEMPTS]


def test_one_item_that_does_not_fit_is_given_up() -> None:
    (part,) = attempt((5,), work_of(memory=0), name, [])  # type: ignore[arg-type]
    assert part.made is None and part.number == ATTEMPTS and "out of memory" in str(part.error)


def test_what_is_nobodys_fault_comes_through_at_once() -> None:
    calls: list[int] = []
    with pytest.raises(ValueError, match="broken"):
        attempt((0, 1), work_of(broken=frozenset({1}), calls=calls), name, [], (ValueError,))  # type: ignore[arg-type]
    assert calls == [2]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_request_to_stop_is_no_failure(stop: type[BaseException]) -> None:
    def work(_: tuple[int, ...]) -> None:
        raise stop

    with pytest.raises(stop):
        attempt((0,), work, name, [])
