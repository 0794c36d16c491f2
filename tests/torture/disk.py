"""Fill a small file system under a real run; with space again, the same command must end as if nothing had been."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.torture.command import Command
from tests.torture.same import differences

SIZE = 8 << 20


class NoFileSystemError(RuntimeError):
    """No small file system can be mounted here."""


def fill(arguments: Sequence[str], folder: Path, times: int, seed: int) -> Iterator[str]:
    """``times`` runs of a command that each find a random bit of space; needs ``folder / "unstopped"``. A line each.

    Raises:
        NoFileSystemError: with the reason.
        AssertionError: a run went on in silence, left more than one line of error, or did not end the same.
    """
    chance, full = random.Random(seed), 0
    needed = sum(path.stat().st_blocks * 512 for path in (folder / "unstopped").rglob("*"))
    for turn in range(times):
        space = chance.randrange(needed)
        with small_file_system(folder / f"disk{turn}") as place:
            (place / "filler").write_bytes(bytes(SIZE - space))
            command = Command(arguments, place, log=folder / "log")
            status = command.wait()
            assert status in (0, 1), command.printed()
            if status == 1:
                error = command.printed().splitlines()[-1]
                assert error.startswith("error: ") and "Traceback" not in command.printed(), command.printed()
                full += 1
            (place / "filler").unlink()
            command = Command(arguments, place, log=folder / "log")
            assert command.wait() == 0, command.printed()
            found = differences(folder / "unstopped", place)
            assert not found, f"seed {seed}, {space} bytes free: {'; '.join(found)}"
            yield f"{space >> 10} KiB free: {'went on after: ' + error if status else 'enough'}"
    assert full or not times, "no run filled the file system"


@contextmanager
def small_file_system(place: Path) -> Iterator[Path]:
    """A tmpfs of :data:`SIZE` bytes, and some for its own needs."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(place)]
    try:
        found = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise NoFileSystemError(str(error)) from None
    if found.returncode:
        raise NoFileSystemError(found.stderr.strip())
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
