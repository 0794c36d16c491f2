"""``python -m tests.fuzz``: hostile and broken input for all that reads files of strangers; ten whole commands."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.fuzz.commands import CASES, run_command
from tests.fuzz.session import fuzz


def main() -> None:
    """Print the seed, a line a target, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="targets whose names hold this")
    wanted = parser.parse_args()
    started = time.monotonic()
    print(f"seed {wanted.seed}", flush=True)
    for line in fuzz(wanted.cases, wanted.seed, wanted.only):
        print(line, flush=True)
    for case in CASES if wanted.cases >= 10_000 else ():
        with tempfile.TemporaryDirectory(prefix="fuzz-command-") as folder:
            print(f"{' '.join(case[1])[:60]}: {run_command(case, Path(folder))}", flush=True)
    print(f"{wanted.cases} cases and more: each ended in success or one line; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
