"""500 cases in process, and three whole commands; ``make fuzz`` does 10,000, and ten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.commands import CASES, ROOT, run_command


def test_500_cases_end_in_success_or_one_line() -> None:
    # In a process of its own: what watches it cannot be taken out again.
    command = [sys.executable, "-m", "tests.fuzz", "--cases", "500", "--seed", "0"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "each ended in success or one line" in found.stdout


@pytest.mark.parametrize("case", CASES[1:4], ids=lambda case: f"{case[0]} {' '.join(case[1])[:40]}")
def test_a_whole_command_ends_in_one_line(case: Any, tmp_path: Path) -> None:
    run_command(case, tmp_path)
