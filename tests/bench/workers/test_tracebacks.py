from __future__ import annotations

import json
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.workers.retries import attempt
from bench.workers.tracebacks import ERRORS, LONGEST, add_tracebacks, foreign_traceback, whole_traceback


def caught(text: str) -> ValueError:
    try:
        json.loads(text)
    except ValueError as error:
        return error
    raise AssertionError


def test_frames_of_the_benchmark_are_left_out() -> None:
    def work(_: tuple[int, ...]) -> None:
        raise ValueError("no ink\x1b[31m")

    kept: list[str] = []
    attempt((1,), work, lambda items: f"{len(items)} from {items[0]}", [], tracebacks=kept)
    assert len(kept) == 3 and all(one.startswith("1 from 1\nTraceback (most recent call last):\n") for one in kept)
    assert f'File "{__file__}"' in kept[0] and "attempts.py" not in kept[0]
    assert kept[0].endswith("ValueError: no ink\\x1b[31m\n")


def test_an_error_of_the_benchmark_itself_is_shown_whole(tmp_path: Path) -> None:
    (tmp_path / ERRORS).mkdir()
    with pytest.raises(InputError) as found:
        add_tracebacks(tmp_path, ["one"])
    error = found.value.with_traceback(found.tb.tb_next)  # its first frame is the benchmark's
    assert foreign_traceback(error) == ""
    assert "in add_tracebacks" in whole_traceback(error)


def test_a_long_traceback_keeps_its_end() -> None:
    text = whole_traceback(ValueError("x" * 10 * LONGEST + "the end"))
    assert len(text) == LONGEST + 1 and text.endswith("the end\n")


def test_tracebacks_are_added_to_a_file_and_never_through_a_link(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    add_tracebacks(run, [])
    assert not (run / ERRORS).exists()
    for text in ("first", "second \ud800"):
        add_tracebacks(run, [whole_traceback(caught("{")), text])
    written = (run / ERRORS).read_text()
    assert written.count("JSONDecodeError") == 2 and written.index("first") < written.index("second")
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (run / ERRORS).unlink()
    (run / ERRORS).symlink_to(victim)
    with pytest.raises(InputError, match=r"errors\.txt: is not a regular file"):
        add_tracebacks(run, ["third"])
    assert victim.read_text() == "mine"
