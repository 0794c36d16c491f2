"""What is printed: plain for pipes, drawn on a terminal, one document with --json; texts are shown, never obeyed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amdm.output import blocks, cells, plain, tell, tell_aside

PAGE = (
    "# Head\n\nText [bold]x[/bold] :smile: \x1b[31m\n\n"
    "| method | ISR |\n|:---|---:|\n| a \\| [red]b[/red] | 1.00 |\n| \x1b]0;t\x07c | 2.00 |\n"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "60")
    tell(text, {})
    return screen.getvalue()


def test_pipes_get_the_page_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.replace("\x1b[31m", "")  # typer takes colours out where there is no terminal
    tell(page, {})
    assert capsys.readouterr().out == page + "\n"


def test_a_terminal_gets_tables_without_bars_and_no_text_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = drawn(PAGE, monkeypatch)
    assert "Head" in shown and "# Head" not in shown and "|:---" not in shown
    assert "Text [bold]x[/bold] :smile: \\x1b[31m" in shown
    assert "a | [red]b[/red]" in shown and "\\x1b]0;t\\x07c" in shown
    assert "\x1b]" not in shown and "\x07" not in shown and "\x1b[31m" not in shown
    rows = [line for line in shown.splitlines() if line.rstrip().endswith("1.00") or line.rstrip().endswith("2.00")]
    assert len(rows) == 2 and len({line.rstrip().rindex("0") for line in rows}) == 1  # numbers stand below each other


def test_long_lines_and_names_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "interactdiffusion+migc+ip-adapter@paper-eta-0.2-0.25"
    head, row = " | ".join(f"ISR L{k}" for k in range(2, 7)), " | ".join(["12.34"] * 5)
    page = f"{'word ' * 40}end\n\n| method | {head} |\n|:---|{'---:|' * 5}\n| {name} | {row} |\n"
    shown = drawn(page, monkeypatch)
    assert ("word " * 40 + "end") in shown.replace("\n", "")
    assert shown.count("12.34") == 5 and "…" not in shown


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.DataFrame({"method": ["a"], "isr": [np.float64("nan")], "n": [3]})
    tell_aside("profile mini", as_json=True)
    tell("text", {"rows": table, "path": Path("x"), "pair": (1, np.float32(0.5)), "none": None}, as_json=True)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "rows": [{"method": "a", "isr": None, "n": 3}],
        "path": "x",
        "pair": [1, 0.5],
        "none": None,
    }
    assert shown.err == "profile mini\n"
    with pytest.raises(TypeError):
        plain(object())


def test_lines_that_only_look_like_tables_are_lines() -> None:
    assert blocks("| a |\ntext") == [(False, ["| a |"]), (False, ["text"])]
    assert blocks("| a |\n|---|\n| b |\nx")[0] == (True, ["| a |", "|---|", "| b |"])
    assert cells("| a |  | c |") == ["a", "", "c"]
