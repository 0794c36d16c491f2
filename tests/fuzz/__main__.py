"""``python -m tests.fuzz``: hostile and broken input for everything that reads files of strangers."""

from __future__ import annotations

import argparse
import random
import time

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
    print(f"{wanted.cases} cases and more: each ended in success or one line; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
