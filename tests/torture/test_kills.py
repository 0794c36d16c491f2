"""A real mini run, killed five times; ``make torture`` does 200 kills and full disks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_five_kills_of_a_real_run_leave_the_same_records_pictures_and_tables() -> None:
    options = ["--kills", "5", "--fills", "0", "--limit", "5", "--seed", "7"]
    found = subprocess.run(
        [sys.executable, "-m", "tests.torture", *options],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "the same each time: 5 kills" in found.stdout
