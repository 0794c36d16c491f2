"""Runs on a cluster of this machine: a worker, a node and a driver killed; ``make torture-ray`` does 50 kills."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed (extra: ray)")
def test_three_kills_on_a_cluster_leave_the_records_of_the_local_engine() -> None:
    options = ["--kills", "3", "--fills", "0", "--limit", "10", "--seed", "7"]
    found = subprocess.run(
        [sys.executable, "-m", "tests.torture.ray_kills", *options],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "the same each time: 3 kills" in found.stdout
