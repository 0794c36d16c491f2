"""``python -m tests.torture``: kills and full disks on a real mini run."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.torture.disk import NoFileSystemError, fill
from tests.torture.kills import Mini, torture


def main() -> None:
    """Print the seed of the moments, a line a series, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fills", type=int, default=10)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    wanted = parser.parse_args()
    mini, started = Mini(wanted.limit, wanted.steps), time.monotonic()
    print(f"seed {wanted.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        for line in torture(mini, Path(folder), wanted.kills, wanted.seed):
            print(line, flush=True)
        try:
            for line in fill(mini.command(), Path(folder), wanted.fills, wanted.seed):
                print(line, flush=True)
        except NoFileSystemError as reason:
            print(f"full disk: skipped, no small file system can be mounted here ({reason})")
    print(f"the same each time: {wanted.kills} kills; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
