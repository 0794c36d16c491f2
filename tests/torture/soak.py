"""``python -m tests.torture.soak``: a mini job in a loop in one process; memory, handles and time must not grow."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from bench.benchmark import run_benchmark
from bench.job.plan import Plan
from bench.job.spec import Job

WARM_UP = 3
"""Rounds before the first that counts: libraries fill their caches."""
LEAST = 9
"""Rounds that count, at least."""
GROWTH = {"memory": 1.05, "handles": 1.0, "seconds": 1.3}
"""The median of the last third of the rounds may be at most this many times that of the first third."""


@dataclass(frozen=True)
class Round:
    """After one run of the job: resident memory in MiB, open file handles, seconds a sample."""

    memory: float
    handles: int
    seconds: float


def soak(seconds: float) -> list[Round]:
    """Rounds until ``seconds`` have passed and there are enough; prints each tenth."""
    rounds: list[Round] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(rounds) < WARM_UP + LEAST:
        rounds.append(_round())
        if len(rounds) % 10 == 1:
            one = rounds[-1]
            shown = f"{one.memory:.0f} MiB, {one.handles} handles, {one.seconds:.3f} s a sample"
            print(f"round {len(rounds)}: {shown}", flush=True)
    return rounds


def growth(rounds: Sequence[Round]) -> dict[str, tuple[float, float]]:
    """For each quantity the medians of the first and of the last third of the rounds after the warm-up."""
    counted = rounds[WARM_UP:]
    third = len(counted) // 3
    return {
        name: tuple(
            statistics.median(getattr(one, name) for one in part) for part in (counted[:third], counted[-third:])
        )  # type: ignore[misc]
        for name in GROWTH
    }


def grown(found: dict[str, tuple[float, float]]) -> list[str]:
    """What grew beyond its bound."""
    return [name for name, (first, last) in found.items() if last > first * GROWTH[name]]


def _round() -> Round:
    job = Job("mini", "mini", ("interactdiffusion+migc",), (0,), 8, 10, ("settings.all.num_inference_steps=5",))
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
    ):
        started = time.monotonic()
        run_benchmark(Plan.resolve(job), Path(folder) / "run", Path(folder) / "reports", 1)
        seconds = (time.monotonic() - started) / 20  # ten layouts, and their true renderings
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir("/proc/self/fd")), seconds)


def main() -> None:
    """Exit 1 where something grew."""
    rounds = soak(float(os.environ.get("SOAK_SECONDS", "1200")))
    found = growth(rounds)
    print(f"{len(rounds)} rounds; medians of the first and the last third after {WARM_UP}:")
    for name, (first, last) in found.items():
        print(f"  {name}: {first:.3f} → {last:.3f} (at most × {GROWTH[name]})")
    if worse := grown(found):
        sys.exit(f"error: {', '.join(worse)} grew")


if __name__ == "__main__":
    main()
