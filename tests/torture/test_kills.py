"""A real mini run, killed five times; ``make torture`` does 200 kills and full disks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAX_SECONDS = 1800
"""A machine with other work takes a few minutes."""


def assert_the_same_after(kills: int, module: str, limit: int) -> None:
    """Run a program of kills on as many layouts; it compares the results itself."""
    options = ["--kills", str(kills), "--fills", "0", "--limit", str(limit), "--seed", "7"]
    found = subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"the same each time: {kills} kills" in found.stdout


def test_five_kills_of_a_real_run_leave_the_same_records_pictures_and_tables() -> None:
    assert_the_same_after(5, "tests.torture", limit=5)
