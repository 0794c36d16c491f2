"""The benchmark compares ways that draw the same pictures; how fast they are is not tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.benchmark import Way, measure, report

ROOT = Path(__file__).resolve().parents[1]


def test_ways_of_a_group_draw_the_same_pictures(tmp_path: Path) -> None:
    options = ["--pictures", "2", "--rounds", "1", "--steps", "5", "--to", str(tmp_path)]
    subprocess.run([sys.executable, "scripts/benchmark.py", *options], cwd=ROOT, check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "benchmark.csv").set_index("way")
    assert (table["largest pixel difference"] <= 2).all()
    assert table.loc["every model to the end", "largest pixel difference"] == 0
    counts = table["guided evaluations a picture"]
    assert counts["auxiliary stops after its last use"] == "interactdiffusion 5, migc 4"
    assert counts["every model to the end"] == "interactdiffusion 5, migc 5"
    assert (table["s/picture, median"] > 0).all() and len(table) == 6
    assert "side by side" in (tmp_path / "benchmark.md").read_text(encoding="utf-8")


def test_the_processor_is_named_where_it_draws_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    way = Way("one", "group", lambda: np.zeros((1, 8, 8, 3), np.uint8))
    measure(way, counts=True, cuda=False)
    assert way.peak > 0 and "CPU, one thread" in report([way], 0, 1, 1, 5, cuda=False)
