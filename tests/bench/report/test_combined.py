"""Runs side by side and published figures: apart where they cannot be compared, whole in CSV, Markdown and LaTeX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from amdm.errors import InputError
from bench.report.combined import combined_latex, combined_markdown, combined_table, published, write_combined
from bench.report.measured import Measured
from bench.report.text import as_markdown
from bench.report.write import write_report
from tests.bench.cli.command import Call
from tests.bench.conftest import JobRunner


def test_runs_of_different_layouts_stand_in_different_sections(run_fake_job: JobRunner, tmp_path: Path) -> None:
    runs = [run_fake_job("a"), run_fake_job("b"), run_fake_job("hard", layouts="mini-hard", limit=5)]
    text = write_combined([Measured.read(run) for run in runs], tmp_path / "reports", with_published=False)
    table = pd.read_csv(tmp_path / "reports" / "combined.csv")
    assert table.run.unique().tolist() == ["a", "b", "hard"]
    assert text.count("\n## ") == 2 and text.count("(mini world)") == 2 and "not comparable" in text
    first, second = text.split("\n## ")[1:]
    assert "| a " in first and "| b " in first and "hard" not in first.replace("mini-hard", "") and "| hard" in second
    assert "\\begin{tabular}" in (tmp_path / "reports" / "combined.tex").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="one name"):
        combined_table([Measured.read(runs[0])] * 2)


def test_a_section_has_the_remarks_of_its_own_runs(run_fake_job: JobRunner) -> None:
    runs = [Measured.read(run_fake_job(name)) for name in ("a", "b")]
    runs[1] = replace(runs[1], info=replace(runs[1].info, judge="another", notes=("of another judge",)))
    first, second = combined_markdown(combined_table(runs), runs, with_published=False).split("\n## ")[1:]
    assert "of another judge" in second and "of another judge" not in first


def test_runs_of_other_parts_of_the_layouts_are_not_ranked_with_each_other(run_fake_job: JobRunner) -> None:
    one = Measured.read(run_fake_job("a"))
    few = Measured.read(run_fake_job("few", limit=10))
    whole = replace(one, folder=one.folder / "whole", info=replace(one.info, count=one.info.full_size))
    text = combined_latex([one, few, whole], with_published=False)
    headings = [line for line in text.splitlines() if "\\textit" in line]
    parts = [f"{count} of {one.info.full_size} layouts" for count in (25, 10)]
    assert len(headings) == 3 and parts[0] in headings[0] and parts[1] in headings[1] and " of " not in headings[2]
    sections = combined_markdown(combined_table([one, few, whole]), [one, few, whole], False).split("\n## ")[1:]
    shown = [[name for name in ("a", "few", "whole") if f"| {name} " in own] for own in sections]
    assert shown == [["a"], ["few"], ["whole"]]
    below = text.split("\\end{tabular}")[1]
    assert f"a: {parts[0]}." in below and f"few: {parts[1]}." in below and below.count(" layouts.") == 2


def test_tables_of_several_runs_read_each_once(
    call: Call, run_fake_job: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, whole, read = [run_fake_job("a"), run_fake_job("b")], Measured.read, list[Path]()
    monkeypatch.setattr(Measured, "read", lambda run, *more: (read.append(run), whole(run, *more))[1])
    answer = call("table", *runs, "--reports", "out")
    assert answer.status == 0 and read == runs
    assert (
        Path("out/a/table1.md").is_file() and Path("out/b/report.html").is_file() and Path("out/combined.md").is_file()
    )


def test_runs_of_one_name_are_refused_before_one_takes_the_others_place(call: Call, run_fake_job: JobRunner) -> None:
    runs = [run_fake_job(name) for name in ("x/run", "y/run")]
    answer = call("table", *runs, "--reports", "out")
    said = answer.err.splitlines()[-1]  # behind the progress of the runs
    assert answer.status == 2 and said == f"error: run: two runs have one name, run: {runs[0]} and {runs[1]}"
    assert not Path("out").exists()


def test_published_figures_stand_apart_with_their_sources(run_fake_job: JobRunner) -> None:
    runs = [Measured.read(run_fake_job("a"))]
    text = combined_markdown(combined_table(runs), runs, with_published=True)
    measured, stated = text.split("# Published figures")
    assert "57.18" in stated and "arXiv:2410.01262" in stated and "57.18" not in measured
    assert stated.index("coco-mig-amdm") < stated.index("coco-mig-migc")


def test_published_rows_have_what_makes_them_readable() -> None:
    table = published()
    assert table[["group", "method", "layouts", "source", "ISR Avg"]].notna().all().all()
    assert set(table.layouts) == {"coco-mig-amdm", "coco-mig-migc"}
    rates = table.filter(regex="ISR|mIoU")
    assert ((rates.isna()) | ((rates >= 0) & (rates <= 100))).all().all()
    paper = table[table.group == "AMDM paper"].set_index("method")
    assert paper.loc["InteractDiffusion(+MIGC)", "mIoU Avg"] == 44.69 and paper["s/image"].tolist() == [18.76, 19.45]


def test_reports_hold_metrics_by_colour_category_and_size(run_fake_job: JobRunner, tmp_path: Path) -> None:
    write_report(run_fake_job("a"), tmp_path / "out")
    for by in ("colour", "category", "size"):
        table = pd.read_csv(tmp_path / "out" / f"by_{by}.csv")
        assert {"method", by, "instances", "isr", "place", "colour_given_place"} <= set(table)
        assert table.groupby("method").instances.sum().tolist() == [100, 100, 100]
    assert {"image_success", "image_success_low"} <= set(pd.read_csv(tmp_path / "out" / "metrics.csv"))


def test_texts_cannot_break_out_of_tables() -> None:
    table = pd.DataFrame({"method": ["a|b\nc", "50% & \\evil{x}"], "ISR": [1.0, 2.0]})
    assert "a\\|b c" in as_markdown(table) and as_markdown(table).count("\n") == 3
