from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from amdm.errors import InputError
from amdm.output import cells, plain
from bench.cocomig.metrics import metric_table
from bench.report.compare import SHOWN, Comparison, compare_runs
from bench.run.read import read_table
from tests.bench.conftest import JobRunner
from tests.bench.report.test_gate import lose


def test_a_run_against_itself_differs_in_nothing(run_fake_job: JobRunner) -> None:
    folder = run_fake_job()
    report = compare_runs(folder, folder).report
    found = re.findall(r"([+-]\d+\.\d+) \[-(\d+\.\d+), \+(\d+\.\d+)\]", report)
    assert len(found) == 2 * 6 * 4  # methods, levels and all of them, metrics
    assert all(value == "+0.00" and low == high and float(low) > 0 for value, low, high in found)
    assert "0 won, 0 lost" in report


def test_a_name_does_not_break_the_table() -> None:
    row = {"method": "a|b", "level": "Avg", **dict.fromkeys(SHOWN, 0.5), "pairs": 3, "unpaired": 1}
    report = Comparison(Path("a"), Path("b"), True, [], [row], []).report
    (line,) = (line for line in report.splitlines() if "Avg" in line)
    assert cells(line) == ["a|b", "Avg", *["+50.00 [no interval]"] * len(SHOWN), "3", "1"]


def test_differences_are_the_second_less_the_first(run_fake_job: JobRunner) -> None:
    a, b = run_fake_job("a"), run_fake_job("b")
    lose(b, "migc", 4, 3)
    before, after = (
        metric_table(read_table(folder, "verdicts"), intervals=False).set_index(["method", "level"]).isr
        for folder in (a, b)
    )
    row = next(line for line in compare_runs(a, b).report.splitlines() if line.startswith("| migc") and "| L4" in line)
    assert f" {100 * (after['migc', 'L4'] - before['migc', 'L4']):+.2f} [" in row
    assert "0 won, 3 lost" in compare_runs(a, b).report and "3 won, 0 lost" in compare_runs(b, a).report


def test_only_what_both_have_is_paired(run_fake_job: JobRunner) -> None:
    report = compare_runs(run_fake_job("a"), run_fake_job("b", methods=("migc",), limit=20)).report
    assert "| migc " in report and "| interactdiffusion " not in report
    row = next(line for line in report.splitlines() if line.startswith("| migc") and "| Avg" in line)
    assert [cell.strip() for cell in row.split("|")][-3:-1] == ["20", "5"]


def test_other_layouts_are_never_compared(run_fake_job: JobRunner, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="layout_hash"):
        compare_runs(run_fake_job("a"), run_fake_job("b", layouts="mini-hard"))


def test_two_methods_of_different_names_are_paired(run_fake_job: JobRunner) -> None:
    a, b = run_fake_job("a", methods=("interactdiffusion",)), run_fake_job("b", methods=("migc",))
    with pytest.raises(InputError, match=r"no judged method in common .*--method-a and --method-b"):
        compare_runs(a, b)
    report = compare_runs(a, b, ("interactdiffusion", "migc")).report
    row = next(
        line for line in report.splitlines() if line.startswith("| migc − interactdiffusion") and "| Avg" in line
    )
    isr = {
        folder: metric_table(read_table(folder, "verdicts"), intervals=False).set_index(["method", "level"]).isr
        for folder in (a, b)
    }
    assert f" {100 * (isr[b]['migc', 'Avg'] - isr[a]['interactdiffusion', 'Avg']):+.2f} [" in row
    with pytest.raises(InputError, match=r"has no judged method 'nope'; there are: .*migc"):
        compare_runs(a, b, ("interactdiffusion", "nope"))


def test_runs_without_a_common_seed_say_which_they_have(run_fake_job: JobRunner) -> None:
    a, b = run_fake_job("a", seeds=(0, 1)), run_fake_job("b", seeds=(2,))
    what = f"{b}: interactdiffusion has no seed in common: {a} has 0, 1, this one 2; only the same seed can be paired"
    with pytest.raises(InputError) as found:
        compare_runs(a, b)
    assert str(found.value) == what
    assert "| migc " in compare_runs(a, run_fake_job("c", seeds=(1, 2))).report


def test_a_level_without_a_common_sample_is_left_out(run_fake_job: JobRunner) -> None:
    """Levels are compared where both have the same samples of them, and not where one has other layouts."""
    a, b = run_fake_job("a", methods=("migc",)), run_fake_job("b", methods=("migc",))
    for folder, half in ((a, "<"), (b, ">=")):
        with closing(sqlite3.connect(folder / "run.sqlite")) as database:
            middle = database.execute("SELECT avg(layout_index) FROM verdicts WHERE level = 3").fetchone()[0]
            database.execute(f"DELETE FROM verdicts WHERE level = 3 AND layout_index {half} ?", (middle,))
            database.commit()
    report = compare_runs(a, b).report
    assert "| L2 " in report and "| L4 " in report and "| L3 " not in report
    for folder, half in ((a, "<"), (b, ">=")):
        with closing(sqlite3.connect(folder / "run.sqlite")) as database:
            middle = database.execute("SELECT avg(layout_index) FROM verdicts").fetchone()[0]
            database.execute(f"DELETE FROM verdicts WHERE layout_index {half} ?", (middle,))
            database.commit()
    with pytest.raises(InputError, match=r"migc has no sample in common with .*layouts that both have: 0"):
        compare_runs(a, b)


def test_what_only_one_run_has_is_said(run_fake_job: JobRunner) -> None:
    report = compare_runs(run_fake_job("a"), run_fake_job("b", methods=("migc",))).report
    assert "left out: interactdiffusion." in report


def test_flips_are_of_the_methods_that_are_compared(run_fake_job: JobRunner) -> None:
    a, b = run_fake_job("a"), run_fake_job("b")
    lose(b, "ceiling", 4, 3)
    assert compare_runs(a, b).flips == []
    assert len(compare_runs(a, b, ("ceiling", "ceiling")).flips) == 3


def test_as_json_it_says_the_same(run_fake_job: JobRunner) -> None:
    a, b = run_fake_job("a"), run_fake_job("b", methods=("migc",))
    lost = lose(b, "migc", 4, 3)
    found = plain(compare_runs(a, b))
    assert found["alone"] == ["interactdiffusion"] and found["same_judge"] is True
    row = next(row for row in found["differences"] if row["level"] == "L4")
    assert row["isr"] == pytest.approx(-0.15) and row["isr_low"] < row["isr"] < row["isr_high"]
    assert [(one["layout_index"], one["instance"], one["won"]) for one in found["flips"]] == [(*k, False) for k in lost]
