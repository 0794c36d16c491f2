"""What every training shares."""

from __future__ import annotations

import csv
from pathlib import Path

from amdm.mini.training.tools import LossLog


def test_a_training_that_goes_on_from_its_checkpoint_writes_each_step_once(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    killed = LossLog(path, every=2)
    for step in range(1, 7):
        killed.add(step, {"base": 1.0})
    resumed = LossLog(path, every=2)
    for step in range(3, 7):
        resumed.add(step, {"base": 3.0, "migc": 0.5})
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["step"], row["base"], row["migc"]) for row in csv.DictReader(file)]
    assert rows == [("2", "1.0", ""), ("4", "3.0", "0.5"), ("6", "3.0", "0.5")]
