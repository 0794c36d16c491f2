"""scripts/store_scale.py writes runs that are whole; how long it takes is not tested."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer import Typer
from typer.testing import CliRunner

from bench.run.read import read_tables
from scripts import store_scale


@pytest.fixture
def few_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,600 samples are one seed of the whole set; tests take 200 layouts of it."""
    full = store_scale.groups
    monkeypatch.setattr(store_scale, "groups", lambda chosen, *more: full(chosen.subset(200), *more))


@pytest.mark.usefixtures("few_layouts")
def test_the_run_and_its_tables_are_whole(tmp_path: Path) -> None:
    scale = store_scale.measure(3200, tmp_path)
    samples, verdicts, findings = read_tables(tmp_path / "run", "samples", "verdicts", "findings")
    assert len(samples) == 800 and set(samples["seed"]) == {0, 1} and len(verdicts) == len(findings) == 3200
    assert list(scale.parts["samples"])[-1] == 800 and len(scale.parts) == 10
    assert scale.parts["samples"].is_monotonic_increasing and scale.parts["database MiB"].is_monotonic_increasing
    assert isinstance(scale.tables, float) and scale.tables_cpu > 0 and scale.parts["memory MiB"].min() > 10
    table = pd.read_csv(tmp_path / "report" / "table1.csv").set_index("method")
    assert list(table["n"]) == [400, 400] and 40 < table.loc["migc", "ISR Avg"] < 60


@pytest.mark.usefixtures("few_layouts")
def test_what_is_beyond_the_limits_is_said_and_they_can_be_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.run.read.MAX_ROWS", 100)
    monkeypatch.setattr("bench.run.read.MAX_DATABASE_BYTES", 2**30)
    monkeypatch.setattr("bench.job.spec.MAX_SAMPLES", 200_000)
    app = Typer()
    app.command()(store_scale.main)
    done = CliRunner().invoke(app, ["--samples", "1600", "--to", str(tmp_path)])
    page = (tmp_path / "store_scale.md").read_text(encoding="utf-8")
    assert done.exit_code == 0 and page in done.output
    assert "tables: refused: " in page and "has more than 100 rows" in page
    assert "Made by `python scripts/store_scale.py --samples 1600`." in page
    assert CliRunner().invoke(app, ["--samples", "1600", "--to", str(tmp_path), "--lift"]).exit_code == 0
    assert "refused" not in (tmp_path / "store_scale.md").read_text(encoding="utf-8")
