"""``python -m tests.torture.ray_kills``: kill workers, nodes and drivers of runs on a Ray cluster, at random moments.

Each run must end as one that was never stopped, on processes of this machine.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.engines.cluster import OF_THIS_MACHINE, QUIET
from tests.torture.command import Command
from tests.torture.disk import NoFileSystemError, fill
from tests.torture.processes import named
from tests.torture.same import differences

KINDS = ("worker", "node", "driver")
MAX_IN_SERIES = 6
MAX_SERIES_PER_KILL = 10
"""Where runs end before they can be killed, that is told, and the series do not go on for ever."""
SETTLED = 12.0
"""Seconds within which an actor has loaded its libraries; kills come that much apart, at most."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Nodes:
    """A cluster in a process of its own (:mod:`tests.torture.nodes`)."""

    process: subprocess.Popen[str]
    address: str

    def lose(self) -> None:
        """Kill a node and start another."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("node\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "lost one\n"

    def workers(self) -> list[int]:
        """Processes in which actors are at work, or loading."""
        return named(self.process.pid, "ray::Actor")


@contextmanager
def nodes(seed: int, count: int = 2) -> Iterator[Nodes]:
    """A cluster with ``count`` nodes besides its head, each with one core."""
    command = [sys.executable, "-m", "tests.torture.nodes", str(seed), str(count)]
    environment = os.environ | QUIET | OF_THIS_MACHINE | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdin is not None
        address = process.stdout.readline().strip()
        assert address, "no cluster was started"
        yield Nodes(process, address)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            for one in reversed(named(process.pid, "")):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)


def arguments(limit: int, address: str | None) -> list[str]:
    """A run of the painter, judged by the mini detector."""
    engine = () if address is None else ("--engine", "ray", "--address", address)
    return [
        *("run", "--generator", f"{ROOT / 'tests' / 'torture' / 'paint.py'}:paint", "--layouts", "mini"),
        *("--limit", str(limit), "--batch", "2", "--out", "run", "--reports", "reports", *engine),
    ]


def unstopped(folder: Path, limit: int) -> None:
    """The whole run, on processes of this machine."""
    folder.mkdir()
    command = Command(arguments(limit, None), folder)
    assert command.wait() == 0, command.printed()


def torture(cluster: Nodes, folder: Path, kills: int, seed: int, limit: int) -> Iterator[str]:
    """Kill ``kills`` times, in series on one run folder; a line for each series. The first three are one of each kind.

    Needs ``folder / "unstopped"``.

    Raises:
        AssertionError: a series did not end as the run that was never stopped.
    """
    chance, done, series = random.Random(seed), 0, 0
    while done < kills:
        assert series < MAX_SERIES_PER_KILL * kills, f"{done} kills in {series} series: the runs end too soon"
        place = folder / f"series{series}"
        place.mkdir()
        wanted = [KINDS[k] if k < len(KINDS) else chance.choice(KINDS) for k in range(done, kills)]
        wanted = wanted[: max(chance.randint(1, MAX_IN_SERIES), len(KINDS) - done)]
        killed = _series(place, cluster, chance, wanted, limit)
        found = differences(folder / "unstopped", place)
        assert not found, f"seed {seed}, series {series} ({place}): {'; '.join(found)}"
        shutil.rmtree(place)
        done += killed.total()
        told = ", ".join(f"{count} {kind}" for kind, count in killed.items())
        yield f"series {series}: {told or 'none'}; {done} of {kills}"
        series += 1


def _series(place: Path, cluster: Nodes, chance: random.Random, wanted: list[str], limit: int) -> Counter[str]:
    """One run with these kills, to its end; returns those that came before it."""
    killed: Counter[str] = Counter()
    command = Command(arguments(limit, cluster.address), place)
    for kind in wanted:
        _until_work(command, cluster)
        command.wait(chance.uniform(0, SETTLED))
        if command.wait(0) is not None:
            break
        if kind == "driver":
            command.kill()
            command = Command(arguments(limit, cluster.address), place)
        elif kind == "node":
            cluster.lose()
        else:
            try:
                os.kill(chance.choice(cluster.workers()), signal.SIGKILL)
            except (ProcessLookupError, IndexError):  # none is there at this moment
                continue
        killed[kind] += 1
    assert command.wait() == 0, command.printed()
    return killed


def _until_work(command: Command, cluster: Nodes) -> None:
    """Until the run has actors, or has ended."""
    until = time.monotonic() + 600
    while not cluster.workers() and command.wait(0.2) is None:
        assert time.monotonic() < until, command.printed()


def main() -> None:
    """Print the seed of the moments, a line a series, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--fills", type=int, default=5)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    wanted = parser.parse_args()
    os.environ.update(OF_THIS_MACHINE)  # the drivers' too, which are forked from here
    started = time.monotonic()
    print(f"seed {wanted.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        unstopped(folder / "unstopped", wanted.limit)
        with nodes(wanted.seed) as cluster:
            for line in torture(cluster, folder, wanted.kills, wanted.seed, wanted.limit):
                print(line, flush=True)
            try:
                for line in fill(arguments(wanted.limit, cluster.address), folder, wanted.fills, wanted.seed):
                    print(line, flush=True)
            except NoFileSystemError as reason:
                print(f"full disk: skipped, no small file system can be mounted here ({reason})")
    print(f"the same each time: {wanted.kills} kills; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
