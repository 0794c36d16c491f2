"""Kill a real run at random moments, damage its pictures, and see that it ends as a run that was never stopped."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.torture.command import NEVER, Command
from tests.torture.same import differences

MAX_IN_SERIES = 8
STARTING = 8.0
"""Seconds that two workers need to load the libraries anew."""


@dataclass(frozen=True)
class Mini:
    """A small real run: one method over some layouts, with true renderings, judged by the mini judge."""

    limit: int = 10
    steps: int = 5
    batch: int = 4

    def command(self, workers: int = 1) -> list[str]:
        """Its arguments."""
        return [
            *("migc", "--profile", "mini", "--methods", "interactdiffusion+migc", "--limit", str(self.limit)),
            *("--batch", str(self.batch), "--set", f"settings.all.num_inference_steps={self.steps}"),
            *("--out", "run", "--reports", "reports", "--workers", str(workers)),
        ]


def unstopped(mini: Mini, folder: Path) -> float:
    """Do the whole run in ``folder``; returns its seconds."""
    folder.mkdir(parents=True)
    started = time.monotonic()
    command = Command(mini.command(), folder)
    assert command.wait() == 0, command.printed()
    return time.monotonic() - started


def torture(mini: Mini, folder: Path, kills: int, seed: int) -> Iterator[str]:
    """Kill ``kills`` times, in series of 1 … 8 on one run folder; a line for each series.

    A kill comes at a random time, or at a random file operation. Before a restart a picture may be removed, torn or
    changed. Every tenth series works in two worker processes.

    Raises:
        AssertionError: a series did not end as the run that was never stopped.
    """
    chance, done, series = random.Random(seed), 0, 0
    seconds = unstopped(mini, folder / "unstopped")
    yield f"never stopped: {seconds:.1f} s"
    while done < kills:
        place = folder / f"series{series}"
        place.mkdir()
        workers = 2 if series % 10 == 9 else 1
        wanted = min(kills - done, chance.randint(1, MAX_IN_SERIES))
        killed, damaged = _series(mini, place, chance, wanted, seconds, workers)
        found = differences(folder / "unstopped", place)
        assert not found, f"seed {seed}, series {series} ({place}): {'; '.join(found)}"
        shutil.rmtree(place)
        done, series = done + killed, series + 1
        yield f"series {series}: {killed} kills, {damaged} pictures damaged, {workers} workers; {done} of {kills}"


def _series(
    mini: Mini, place: Path, chance: random.Random, kills: int, seconds: float, workers: int
) -> tuple[int, int]:
    """Kills and damage on one folder, then the same command to its end; returns how many of each there were."""
    killed = damaged = 0
    for _ in range(kills):
        by_time = workers > 1 or chance.random() < 0.5
        die_at = NEVER if by_time else chance.randint(1, 5 * mini.limit)
        command = Command(mini.command(workers), place, die_at)
        if by_time:
            command.wait(chance.uniform(0, seconds + (STARTING if workers > 1 else 0)))
            command.kill()
        status = command.wait()
        assert status in (0, -signal.SIGKILL), command.printed()
        killed += status != 0
        damaged += chance.random() < 0.4 and _damage(place / "run" / "images", chance)
    command = Command(mini.command(workers), place)
    assert command.wait() == 0, command.printed()
    if workers > 1:  # the number of workers is recorded, and is no setting
        assert Command(mini.command(), place).wait() == 0
    return killed, damaged


def _damage(images: Path, chance: random.Random) -> bool:
    """Remove, tear or change one picture, where there is any."""
    found = sorted(images.rglob("*.png"))
    if not found:
        return False
    path = chance.choice(found)
    content, kind = path.read_bytes(), chance.randrange(4)
    if kind == 0:
        path.unlink()
    elif kind == 1:
        path.write_bytes(content[: chance.randrange(len(content))])
    elif kind == 2:
        path.write_bytes(bytes(len(content)))
    else:
        place = chance.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :])
    return True
