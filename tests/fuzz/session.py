"""A number of cases over all targets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz import guard
from tests.fuzz.targets import Target, small_job, targets


def fuzz(cases: int, chosen_seed: int, only: str = "") -> Iterator[str]:
    """At least ``cases`` cases in this process, of the targets whose names hold ``only``; a line for each target.

    Raises:
        Exception: whatever a case brought up that is no InputError, or the AssertionError of a rule that it broke.
    """
    guard.install()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, small_job(Path(folder)) as run:
        found = {name: target for name, target in targets(run).items() if only in name}
        parts = sum(target.share for target in found.values())
        for name, target in found.items():
            wanted = -(-cases * target.share // parts)
            done, good = _fuzz_one(target, wanted, chosen_seed)
            yield f"{name}: {done} cases, {good} of them valid"


def _fuzz_one(target: Target, wanted: int, chosen_seed: int) -> tuple[int, int]:
    """Hypothesis may stop early where it has seen all there is; then it starts again from another seed."""
    done = good = 0

    def one(case: Any) -> None:
        nonlocal done, good
        with tempfile.TemporaryDirectory(prefix="fuzz-case-") as place:
            good += guard.check(lambda: target.read(case, Path(place)), Path(place))
        done += 1

    while done < wanted:
        limits = settings(
            max_examples=wanted - done,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        seed(chosen_seed + done)(limits(given(target.cases)(one)))()
    return done, good
