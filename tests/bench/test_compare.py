from __future__ import annotations

import re
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.compare import compare_runs
from bench.metrics import metric_table
from bench.store import read_table
from tests.bench.conftest import JobRunner
from tests.bench.test_regression import lose


def test_a_run_against_itself_differs_in_nothing(run_fake_job: JobRunner) -> None:
    folder = run_fake_job()
    report = compare_runs(folder, folder)
    assert set(re.findall(r"[+-]\d+\.\d+", report)) == {"+0.00"}
    assert "0 won, 0 lost" in report


def test_differences_are_the_second_less_the_first(run_fake_job: JobRunner) -> None:
    a, b = run_fake_job("a"), run_fake_job("b")
    lose(b, "migc", 4, 3)
    before, after = (
        metric_table(read_table(folder, "verdicts"), intervals=False).set_index(["method", "level"]).isr
        for folder in (a, b)
    )
    row = next(line for line in compare_runs(a, b).splitlines() if line.startswith("| migc") and "| L4" in line)
    assert f" {100 * (after['migc', 'L4'] - before['migc', 'L4']):+.2f} [" in row
    assert "0 won, 3 lost" in compare_runs(a, b) and "3 won, 0 lost" in compare_runs(b, a)


def test_only_what_both_have_is_paired(run_fake_job: JobRunner) -> None:
    report = compare_runs(run_fake_job("a"), run_fake_job("b", methods=("migc",), limit=20))
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
    report = compare_runs(a, b, ("interactdiffusion", "migc"))
    row = next(
        line for line in report.splitlines() if line.startswith("| migc − interactdiffusion") and "| Avg" in line
    )
    isr = {
        folder: metric_table(read_table(folder, "verdicts"), intervals=False).set_index(["method", "level"]).isr
        for folder in (a, b)
    }
    assert f" {100 * (isr[b]['migc', 'Avg'] - isr[a]['interactdiffusion', 'Avg']):+.2f} [" in row
    with pytest.raises(InputError, match="has no judged method 'nope'"):
        compare_runs(a, b, ("interactdiffusion", "nope"))


def test_what_only_one_run_has_is_said(run_fake_job: JobRunner) -> None:
    report = compare_runs(run_fake_job("a"), run_fake_job("b", methods=("migc",)))
    assert "left out: interactdiffusion." in report
