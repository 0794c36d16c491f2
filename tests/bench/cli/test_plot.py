"""Figures and the paper's table from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.bench.cli.command import Call
from tests.bench.conftest import JobRunner


@pytest.mark.parametrize("kind", ["levels", "sizes", "tradeoff", "heatmap", "samples"])
def test_every_figure_of_runs_side_by_side(call: Call, run_fake_job: JobRunner, kind: str) -> None:
    runs = [run_fake_job("a"), run_fake_job("b", methods=("migc",))]
    answer = call("plot", kind, *runs, "--out", "figure.png", "--methods", "a: migc,b: migc")
    assert (answer.status, answer.out) == (0, "wrote figure.png\n")
    assert Image.open("figure.png").size[0] > 300


def test_bad_requests_are_one_line_and_write_nothing(call: Call, run_fake_job: JobRunner) -> None:
    run = run_fake_job()
    for options, message in (
        (("levels", run, "--out", "a.jpg"), "a.jpg: out: unknown form of a figure '.jpg'"),
        (("levels", run, "--out", "a.png", "--metrics", "irs"), "did you mean isr?"),
        (("samples", run, "--out", "a.png", "--keys", "3,x"), "keys: unknown key of these layouts 'x'"),
        (
            ("tradeoff", run, "--out", "a.png", "--x", "evals"),
            "x: unknown metric of these runs 'evals'; did you mean eval",
        ),
        (("tradeoff", run, "--out", "a.png", "--y", "irs"), "y: unknown metric of these runs 'irs'; did you mean isr?"),
        (("handover", run / "run.json", "--out", "a.png"), "run.json: is not CSV"),
        (("levels", run / "absent", "--out", "a.png"), "run.json"),
    ):
        answer = call("plot", *options)
        assert answer.status == 2 and message in answer.error
    assert list(Path.cwd().iterdir()) == []


def test_the_papers_table_is_one_command(call: Call) -> None:
    shown = call("paper", "table1", "--columns", "isr.Avg,seconds")
    assert shown.status == 0 and "InteractDiffusion(+MIGC) & 50.81 & 19.45 \\\\" in shown.out
    assert call("paper", "table1", "--columns", "place").status == 0  # a column of dashes: nothing was published
    assert call("paper", "table1", "--out", "t.tex").out == "wrote t.tex\n" and Path("t.tex").is_file()


def test_the_columns_of_a_runs_table_are_chosen(call: Call, run_fake_job: JobRunner) -> None:
    run = run_fake_job()
    assert call("table", run, "--columns", "place.Avg", "--reports", "out").status == 0
    assert "\\multicolumn{1}{c}{Place" in (Path("out") / run.name / "table1.tex").read_text()
    assert "did you mean place?" in call("table", run, "--columns", "plac").error


def test_the_papers_figures_are_one_command_each(call: Call) -> None:
    answer = call("paper", "figure", "4", "--profile", "mini", "--keys", "0", "--layouts", "mini", "--out", "f.png")
    assert answer.status == 0 and answer.out == "wrote f.png (mini profile)\n"
    width, height = Image.open("f.png").size
    assert height > 3 * width  # one layout, three methods and the empty layout
    keys = ("--keys", "3", "--profile", "paper", "--random-weights", "--out", "g.png")
    assert "keys: goes with --layouts" in call("paper", "figure", "4", *keys).error
    assert "number: unknown qualitative figure" in call("paper", "figure", "3", "--out", "g.png").error
