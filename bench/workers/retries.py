"""Work on a batch that may fail: out of memory halves it, another error is tried again item by item."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tqdm import tqdm

from amdm.errors import InputError, printable
from bench.workers.tracebacks import whole_traceback

Item = TypeVar("Item")
Made = TypeVar("Made")
ATTEMPTS = 3


@dataclass(frozen=True)
class Attempt(Generic[Item, Made]):
    """The last attempt at some items.

    made: what the work returned, None where it failed. error: what it failed with. number: how many times it was tried.
    seconds: of this attempt, 0 where it failed.
    """

    items: tuple[Item, ...]
    made: Made | None
    error: str | None
    number: int
    seconds: float


def attempt(
    items: tuple[Item, ...],
    work: Callable[[tuple[Item, ...]], Made],
    name: Callable[[tuple[Item, ...]], str],
    events: list[str],
    fatal: tuple[type[Exception], ...] = (),
    number: int = 1,
    tracebacks: list[str] | None = None,
) -> list[Attempt[Item, Made]]:
    """Do ``work`` on ``items``, in parts where it must be; one item is given up after :data:`ATTEMPTS` times.

    Args:
        name: what to call items in ``events``, which gets a line for every failure.
        fatal: exception types that are re-raised instead of retried.
        tracebacks: gets, for every failure, its line and where it was raised.
    """
    started = time.perf_counter()
    try:
        made = work(items)
    except fatal:
        raise
    except Exception as error:  # whatever it is, the other items of the run go on
        what, memory = f"{type(error).__name__}: {error}", _out_of_memory(error)
        if tracebacks is not None:
            tracebacks.append(f"{printable(name(items))}\n{whole_traceback(error)}")
    else:
        return [Attempt(items, made, None, number, time.perf_counter() - started)]
    # Only here, where the error and the tensors that its traceback holds are gone, is there memory to go on.
    if memory:
        _free_memory()
    events.append(f"{name(items)}: {what}")
    if len(items) > 1:
        size = (len(items) + 1) // 2 if memory else 1
        parts = [items[k : k + size] for k in range(0, len(items), size)]
        return [one for part in parts for one in attempt(part, work, name, events, fatal, number, tracebacks)]
    if number < ATTEMPTS:
        return attempt(items, work, name, events, fatal, number + 1, tracebacks)
    return [Attempt(items, None, what, number, 0.0)]


def show_events(events: Sequence[str]) -> None:
    """Each on one line of stderr, without terminal escapes, above the progress bar."""
    for event in events:
        tqdm.write(str(InputError(event)), file=sys.stderr)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def _free_memory() -> None:
    """Give back what torch keeps of a GPU's memory, where torch is in use at all."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
