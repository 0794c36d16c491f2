"""The seeds of a run, as an option names them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from amdm.errors import InputError, instead

MAX_SEEDS = 1000
"""Of one run."""

SEED_PROTOCOLS = {"coco-mig-bench": (42, 37, 519, 609, 123, 401, 780, 0)}
"""By name. COCO-MIG-Bench (thisisWooyeol) draws each layout once with each of its eight."""


def seeds_of(text: str) -> tuple[int, ...]:
    """The seeds of a list with ranges, or those of a name of :data:`SEED_PROTOCOLS`.

    Raises:
        InputError: for anything else, and for a range of more than :data:`MAX_SEEDS`.

    >>> seeds_of("0-3,7")
    (0, 1, 2, 3, 7)
    """
    if text.strip() in SEED_PROTOCOLS:
        return SEED_PROTOCOLS[text.strip()]
    found: list[int] = []
    for part in text.split(","):
        numbers = re.fullmatch(r"\s*([0-9]{1,10})\s*-\s*([0-9]{1,10})\s*", part)
        if numbers is None:
            found.append(_seed(part, text))
            continue
        first, last = int(numbers[1]), int(numbers[2])
        if last < first:
            raise InputError(f"{part.strip()!r} runs backwards: write {last}-{first}", field="seeds")
        if len(found) + last - first >= MAX_SEEDS:
            raise InputError(f"{part.strip()!r} makes more than {MAX_SEEDS} seeds", field="seeds")
        found += range(first, last + 1)
    return tuple(found)


def check_seeds(seeds: Sequence[int], field: str = "seeds") -> None:
    """Raise InputError unless there are some, distinct and of 0 or more: pictures would count twice."""
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise InputError("must be distinct integers of 0 or more", field=field)


def _seed(part: str, text: str) -> int:
    if re.fullmatch(r"\s*[-+]?[0-9]{1,20}\s*", part):
        return int(part)
    form = "is not a list of integers with commas, for example 0,1 or 0-9,42; by name"
    raise InputError(f"{text[:80]!r} {form} {instead(text, SEED_PROTOCOLS)}", field="seeds")
