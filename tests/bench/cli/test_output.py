"""What commands print for programs, and the last block of a run; layouts of other tools from the command line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bench.cli.options import tell_result
from tests.bench.cli.command import SMALL, Answer, Call, layout_file
from tests.bench.conftest import JobRunner
from tests.bench.report.test_gate import lose


def test_layouts_of_another_form_are_converted_and_all_faults_said(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("key,label,x1,y1,x2,y2\n0,a red circle,0,0,0.5,0.5\n0,ring,0.5,0.5,1,1\n")
    arguments = ("layouts", "convert", path, "--from", "csv", "--boxes", "xyxy", "--units", "relative", "--out")
    to = tmp_path / "new" / "a.json"
    done = call(*arguments, to)
    assert done.status == 0 and done.out.startswith(f"wrote {to}: 1 layouts, 2 instances, hash ")
    assert "1 captions made of the labels" in done.err and "name no colour that can be judged" in done.err
    assert "1 layouts" in call("layouts", "show", to, "--draw", tmp_path / "a.png").out
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    path.write_text("key,label,x1,y1,x2,y2\n0,,0,0,0.5,0.5\n0,ring,0.5,0.5,1,x\n")
    failed = call(*arguments, tmp_path / "b.json")
    assert (
        failed.status == 2 and failed.out == f"{path}: line 2.label: is empty\n{path}: line 3.y2: 'x' is not a number\n"
    )
    assert not (tmp_path / "b.json").exists()
    assert "out: a layout set is written as .json" in call(*arguments, tmp_path / "b.yaml").error


def document(answer: Answer) -> Any:
    """stdout as one JSON document."""
    return json.loads(answer.out)


def test_a_run_is_one_document_for_programs(call: Call, fake_networks: None) -> None:
    first = call("migc", *SMALL, "--methods", "migc", "--json")
    found = document(first)
    assert first.status == 0 and found["missing"] == [] and found["results"]["migc"]["images"] == 10
    assert all(Path(place).exists() for place in found["places"].values()) and "profile mini" in first.err
    again = call("migc", *SMALL, "--methods", "migc", "--json")
    assert document(again) == found and "complete: 20 images" in again.err
    planned = document(call("migc", *SMALL, "--methods", "migc", "--json", "--dry-run"))
    assert planned["dry_run"][0].startswith("profile mini") and planned["estimate"][1].startswith("time: about")


def test_a_dry_run_times_two_batches_and_writes_nothing(call: Call, fake_networks: None) -> None:
    answer = call("migc", *SMALL, "--methods", "migc", "--dry-run")
    assert answer.status == 0 and "timed here, on cpu: two batches of 4 by migc" in answer.out
    assert "time: about" in answer.out and "GPU-hours: 0" in answer.out and "20 pictures with the true" in answer.out
    assert list(Path.cwd().iterdir()) == []


def test_the_last_block_says_where_everything_lies_and_what_is_missing(
    call: Call, run_fake_job: JobRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_fake_job()
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("DELETE FROM samples WHERE method = 'migc' AND layout_index < 2")
        database.execute("DELETE FROM verdicts WHERE method = 'migc' AND layout_index < 2")
    assert call("table", folder, "--reports", "reports").status == 0
    tell_result(folder, Path("reports"), as_json=False)
    assert capsys.readouterr().out.splitlines()[-5:] == [
        f"records and pictures: {folder}",
        "tables: reports/run/table1.csv, table1.md, table1.tex",
        "page: reports/run/report.html",
        "picture grid: reports/run/grid.png",
        "missing: migc: 2 of 25 pictures",
    ]


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (("table",), {"reports", "combined"}),
        (("report",), {"page"}),
        (("verify",), {"run", "whole", "problems"}),
        (("export", "--method", "migc", "--to", "out"), {"pictures", "folder"}),
        (("plot", "levels", "--out", "a.png"), {"figure"}),
    ],
)
def test_commands_on_a_run_print_one_document(
    call: Call, run_fake_job: JobRunner, command: tuple[str, ...], keys: set[str]
) -> None:
    words, options = (command[:2], command[2:]) if command[0] == "plot" else (command[:1], command[1:])
    answer = call(*words, run_fake_job(), *options, "--json")
    assert answer.status == 0 and set(document(answer)) == keys


def test_comparisons_are_numbers_for_programs(call: Call, run_fake_job: JobRunner) -> None:
    a, b = run_fake_job("a"), run_fake_job("b")
    lose(b, "migc", 4, 2)
    found = document(call("compare", a, b, "--json"))
    row = next(one for one in found["differences"] if (one["method"], one["level"]) == ("migc", "L4"))
    assert row["isr"] == pytest.approx(-0.1) and row["isr_low"] < row["isr"] < row["isr_high"]
    assert [one["won"] for one in found["flips"]] == [False, False]


def test_faults_of_a_layout_file_are_a_document_too(call: Call, tmp_path: Path) -> None:
    bad = call("layouts", "validate", layout_file(tmp_path / "bad.json", caption=3), "--json")
    assert bad.status == 2 and bad.err.startswith("error: ")
    fault = {"file": str(tmp_path / "bad.json"), "field": "0.caption", "what": "must be a text"}
    assert document(bad) == {"faults": [fault]}
    good = document(call("layouts", "show", layout_file(tmp_path / "good.json"), "--json"))
    assert (good["layouts"], good["levels"], good["statistics"]["overlapping"]) == (1, [2], 0)


def test_documents_say_what_is_not_judged_and_nothing_that_a_terminal_obeys(call: Call, tmp_path: Path) -> None:
    path = layout_file(tmp_path / "own.json")
    content = json.loads(path.read_text())
    one, two = content["0"]["segment"][:2]
    content["0"]["interactions"] = [{"subject": one, "action": "eats\u202e", "object": two}]
    content["0"]["caption"] = "c\x9b31m"
    path.write_text(json.dumps(content))
    for command in ("validate", "show"):
        answer = call("layouts", command, path, "--json")
        assert answer.out.isascii()
        assert document(answer)["notes"] == ["1 interactions are asked for and not judged: 'eats\\u202e'"]


def test_doctor_and_refusals(call: Call) -> None:
    assert "python" in document(call("doctor", "--json"))
    refused = call("migc", "--profile", "mini", "--methods", "mgic", "--json")
    assert refused.status == 2 and refused.out == "" and "did you mean migc" in refused.err
