"""Progress of long work, on a terminal and in a log."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest

from amdm.progress import Progress


def test_a_log_gets_whole_lines_and_the_last_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    for _ in Progress(range(3), "generate", unit="image"):
        pass
    written = capsys.readouterr().err
    assert "\r" not in written and written.endswith("\n")
    first, *_, last = written.splitlines()
    assert first.startswith("generate:   0%|") and re.match(r"generate: 100%\|#+\| 3/3 \[", last)
    assert all(line.startswith("generate: ") and "image" in line for line in written.splitlines())


def test_a_log_gets_few_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TQDM_MININTERVAL", raising=False)
    for _ in Progress(range(1000), "judge"):
        pass
    assert len(capsys.readouterr().err.splitlines()) == 2  # the first and the last


@pytest.mark.parametrize("where", ["terminal", "notebook"])
def test_what_can_be_drawn_over_gets_one_line_that_changes(
    where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "terminal":
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    else:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    for _ in Progress(range(3), "generate", mininterval=0):
        pass
    written = capsys.readouterr().err
    assert written.count("\r") >= 3 and written.count("\n") == 1


def test_work_goes_on_where_nobody_reads_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_MININTERVAL", "0")

    def gone(*_: object) -> None:
        raise BrokenPipeError

    for name in ("write", "flush"):
        monkeypatch.setattr(sys.stderr, name, gone)
    assert list(Progress(range(3), "generate")) == [0, 1, 2]
