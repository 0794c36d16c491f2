"""The table that pastes into a paper."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.cocomig.metrics import Estimate, metric_table
from bench.report.combined import paper_table1, write_combined
from bench.report.latex import Block, Column, Row, columns_of, escaped, latex_table
from bench.report.measured import Measured
from bench.report.write import write_measured, write_report
from bench.run.read import read_table
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info

ISR, WRONG, NAN = Column("isr", "Avg"), Column("wrong_place", "Avg"), float("nan")


def rows(*cells: tuple[str, Estimate], column: Column = ISR) -> tuple[Row, ...]:
    return tuple(Row(name, {column: value}) for name, value in cells)


def body(table: str) -> list[str]:
    """Lines of methods."""
    return [line for line in table.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines() if " & " in line]


def test_the_best_is_bold_where_its_interval_leaves_the_others_out() -> None:
    sure = rows(("a", Estimate(50.0, 40.0, 60.0)), ("b", Estimate(39.0, 20.0, 55.0)))
    assert body(latex_table([ISR], [Block("", sure)])) == ["a & \\textbf{50.00} \\\\", "b & 39.00 \\\\"]
    assert "% Bold: " in latex_table([ISR], [Block("", sure)])
    close = rows(("a", Estimate(50.0, 40.0, 60.0)), ("b", Estimate(40.0, 20.0, 55.0)))
    assert "textbf" not in latex_table([ISR], [Block("", close)])
    unknown = rows(("a", Estimate(50.0, NAN, NAN)), ("b", Estimate(10.0, NAN, NAN)))
    assert "textbf" not in latex_table([ISR], [Block("", unknown)])
    alone = rows(("a", Estimate(50.0, 40.0, 60.0)))
    assert "textbf" not in latex_table([ISR], [Block("", alone)])


def test_the_lowest_is_best_where_less_is_better_and_the_ceiling_competes_with_none() -> None:
    fewer = rows(("a", Estimate(5.0, 3.0, 7.0)), ("b", Estimate(20.0, 15.0, 30.0)), column=WRONG)
    ceiling = Row("Ceiling", {WRONG: Estimate(0.0, 0.0, 1.0)}, ranked=False)
    shown = latex_table([WRONG], [Block("", (*fewer, ceiling))])
    assert body(shown) == ["a & \\textbf{5.00} \\\\", "b & 20.00 \\\\", "Ceiling & 0.00 \\\\"]
    assert "Wrong place $\\downarrow$" in shown and shown.count("\\addlinespace") == 1


def test_blocks_are_compared_within_themselves_alone() -> None:
    first = Block("one", rows(("a", Estimate(90.0, 85.0, 95.0)), ("b", Estimate(10.0, 5.0, 15.0))))
    second = Block("two & three", rows(("c", Estimate(20.0, 18.0, 22.0)), ("d", Estimate(10.0, 5.0, 15.0))))
    shown = latex_table([ISR], [first, second])
    assert "\\textbf{90.00}" in shown and "\\textbf{20.00}" in shown
    assert "\\multicolumn{2}{l}{\\textit{two \\& three}} \\\\" in shown


def test_columns_are_grouped_over_levels() -> None:
    levels = ["L2", "L12", "Avg"]
    columns = columns_of(["isr", "place.Avg", "seconds"], levels)
    assert columns == (*(Column("isr", level) for level in levels), Column("place", "Avg"), Column("seconds"))
    lines = latex_table(columns, [Block("", (Row("a", {}),))]).splitlines()
    assert lines[1:6] == [
        "\\begin{tabular}{lrrrrr}",
        "\\toprule",
        " & \\multicolumn{3}{c}{ISR $\\uparrow$} & \\multicolumn{1}{c}{Place $\\uparrow$}"
        " & \\multicolumn{1}{c}{Time} \\\\",
        "\\cmidrule(lr){2-4} \\cmidrule(lr){5-5} \\cmidrule(lr){6-6}",
        "Method & $L_{2}$ & $L_{12}$ & Avg & Avg & s \\\\",
    ]
    assert "a & -- & -- & -- & -- & -- \\\\" in lines


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["irs"], "columns: unknown column 'irs'; did you mean isr?"),
        (["isr.L9"], "columns: unknown level of isr 'L9'"),
        (["seconds.Avg"], "columns: unknown column 'seconds'"),
        (["isr", "isr.L2"], "columns: names a column twice"),
    ],
)
def test_bad_columns_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        columns_of(texts, ["L2", "Avg"])
    assert str(caught.value).startswith(message)


def test_texts_cannot_break_out() -> None:
    hostile = "\\input{/etc/passwd} 50 % & $x$ #1 a_b ~ ^ \x1b[31m"
    shown = latex_table([ISR], [Block("", rows((hostile, Estimate(1.0, NAN, NAN))))], [hostile])
    assert (
        "\\input" not in shown and "\x1b" not in shown and shown.count("\\textbackslash{}input\\{/etc/passwd\\}") == 2
    )
    assert escaped("a\nb") == "a b"


@pytest.mark.parametrize("name", ["[2ex]", "*"])
def test_names_are_no_options_of_the_line_end_before_them(name: str) -> None:
    shown = latex_table([ISR], [Block("", rows(("a", Estimate(1.0, NAN, NAN)), (name, Estimate(2.0, NAN, NAN))))])
    assert f"\\\\\n{{}}{name} & 2.00" in shown


def test_a_runs_table_has_the_metrics_numbers_and_the_methods_names(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    write_measured(Measured.read(folder), tmp_path / "out", ("isr", "place.Avg", "evaluations", "n"))
    lines = body((tmp_path / "out" / "table1.tex").read_text())
    metrics = metric_table(read_table(folder, "verdicts")).set_index(["method", "level"])
    assert [line.split(" & ")[0] for line in lines] == ["InteractDiffusion", "MIGC", "Ceiling"]
    for line, method in zip(lines, ("interactdiffusion", "migc", "ceiling"), strict=True):
        cells = [cell.removeprefix("\\textbf{").rstrip("}") for cell in line.removesuffix(" \\\\").split(" & ")[1:]]
        levels = ("L2", "L3", "L4", "L5", "L6", "Avg")
        assert cells[:6] == [f"{100 * metrics.isr[method, level]:.2f}" for level in levels]
        assert cells[6] == f"{100 * metrics.place[method, 'Avg']:.2f}"
        assert cells[7:] == ["1.0", "25"]


def test_what_is_missing_or_was_forced_is_said_below(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    change_info(folder, forced=[{"field": "layouts", "before": '"mini"', "now": '"mini-hard"'}])
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("DELETE FROM verdicts WHERE method = 'migc' AND layout_index < 3")
    write_report(folder, tmp_path / "out")
    table = (tmp_path / "out" / "table1.tex").read_text()
    notes = table.split("\\end{tabular}")[1]
    assert "settings (--force): layouts: was" in notes and "MIGC: 22 of 25 images were judged" in notes


def test_several_runs_are_one_table_with_published_figures_apart(run_fake_job: JobRunner, tmp_path: Path) -> None:
    runs = [run_fake_job("a"), run_fake_job("b", layouts="mini-hard")]
    write_combined([Measured.read(run) for run in runs], tmp_path / "out", True, ("isr.Avg",))
    table = (tmp_path / "out" / "combined.tex").read_text()
    headings = [line for line in table.splitlines() if "\\textit" in line]
    assert "mini (" in headings[0] and "mini-hard (" in headings[1] and "AMDM paper" in headings[2]
    assert "\nb: MIGC & " in table and "\nInteractDiffusion(+MIGC) & 50.81 \\\\" in table


def test_the_papers_own_table_is_what_was_published() -> None:
    lines = body(paper_table1())
    assert lines[0] == (
        "InteractDiffusion & 31.87 & 26.66 & 23.90 & 23.37 & 23.85 & 24.96 & 27.99 & 24.13 & 21.45 & 21.51 & 21.16"
        " & 22.44 & 18.76 \\\\"
    )
    assert lines[1].startswith("InteractDiffusion(+MIGC) & 57.18 & ") and lines[1].endswith(" & 44.69 & 19.45 \\\\")
    assert "not measured here" in paper_table1() and not re.search("textbf|Bold", paper_table1())
