"""Drawing: progress, previews, an end on request, and lines that repeat the picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from amdm.cli.main import app
from amdm.io.images import load_style
from amdm.model_set import LoadOptions
from amdm.studio.choices import Choices
from amdm.studio.drawing import Drawing, layout_file, read_page
from amdm.studio.judged import BoxVerdict, Judged, OtherVerdict
from amdm.studio.repeat import LAYOUT_FILE, python_lines, shell_lines
from amdm.studio.show import Shown, message_view
from amdm.studio.style import mini_style
from amdm.studio.work import FAILED, Ended, Job, Studio, Update, conditions, notes

ROOT = Path(__file__).resolve().parents[3]
STEPS = 3
BOXES = [
    {"phrase": "a red circle", "box": [0.0612, 0.1, 0.36, 0.4]},
    {"phrase": "a blue arch", "box": [0.62, 0.56, 0.94, 0.9]},
]


def drawing(style: bool = True, **changes: Any) -> Drawing:
    page: dict[str, Any] = {"caption": "", "boxes": BOXES, "joins": [{"subject": 0, "action": "pushes", "object": 1}]}
    return read_page(json.dumps(page | {"style": mini_style("checks").for_page() if style else None} | changes))


def job(drawn: Drawing, *others: str, **changes: Any) -> Job:
    settings = {"s": 2, "weights": "0.4", "eta": "0.3, 0.4", "steps": STEPS, "seed": 7, "semantics": "paper"} | changes
    choices = Choices.read("mini", "interactdiffusion", list(others), **settings)
    return Job(drawn, choices, tuple(choices.runs(conditions(drawn))))


def pictures(studio: Studio, wanted: Job) -> list[Image.Image]:
    updates = list(studio.draw(wanted))
    assert updates[-1] == Ended()
    return [one.image for one in updates if isinstance(one, Update) and one.done and one.image is not None]


def test_every_run_is_told_step_by_step(studio: Studio) -> None:
    updates: list[Any] = []
    studio._work(job(drawing(), "migc"), updates.append)
    steps = [(number, step, False) for number in range(3) for step in range(1, STEPS + 1)]
    told = [(one.number, one.step, one.done) for one in updates[:-1]]
    assert told == sorted([*steps, *((number, STEPS, True) for number in range(3))])
    assert all(one.image.size == (64, 64) for one in updates[:-1]) and updates[-1] == Ended()


def test_a_reader_gets_every_picture_however_slow_it_is(studio: Studio) -> None:
    updates = [one for one in studio.draw(job(drawing(), "migc")) if isinstance(one, Update)]
    told = [(one.number, one.step, one.done) for one in updates]
    assert [one for one in told if one[2]] == [(0, STEPS, True), (1, STEPS, True), (2, STEPS, True)]
    assert told == sorted(told)


def test_a_cancelled_job_ends_within_a_step(studio: Studio) -> None:
    wanted, seen = job(drawing(False), "migc", steps=200), list[Any]()
    for update in studio.draw(wanted):
        seen.append(update)
        wanted.cancel.set()
    assert seen[-1] == Ended(cancelled=True)
    assert len(seen) < 5 and not any(isinstance(one, Update) and one.done for one in seen)
    assert len(pictures(studio, job(drawing(False)))) == 1  # and the studio goes on


def test_whoever_stops_reading_cancels(studio: Studio) -> None:
    wanted = job(drawing(False), steps=200)
    updates = studio.draw(wanted)
    next(updates)
    updates.close()  # type: ignore[attr-defined]
    assert wanted.cancel.is_set() and not any(one.name.endswith("(_work)") for one in threading.enumerate())


def test_a_failure_is_told(studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("amdm.studio.work.preview", lambda *_: 1 / 0)
    assert list(studio.draw(job(drawing(False)))) == [Ended(FAILED)]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_job_that_waits_says_so_and_leaves_when_it_is_cancelled(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = threading.Event(), threading.Event()

    def draw_all(self: Studio, wanted: Job, tell: Any) -> None:
        begun.set()
        assert release.wait(300)

    monkeypatch.setattr(Studio, "_draw_all", draw_all)
    first = studio.draw(job(drawing(False)))
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(list, first)
        assert begun.wait(300)
        wanted = job(drawing(False))
        second = studio.draw(wanted)
        shown = Shown(wanted.drawing, wanted.choices, wanted.runs, studio.loading)
        shown.take(next(second))
        assert shown.view()["message"] == "waiting: 1 job before this one"
        wanted.cancel.set()
        assert list(second) == [Ended(cancelled=True)] and not ended.done()
        release.set()
        assert ended.result(300) == [Ended()]


def test_a_picture_is_kept_where_its_judge_fails(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(studio, "judge", lambda *_: 1 / 0)
    *_, done, ended = studio.draw(job(drawing()))
    assert isinstance(done, Update) and done.image is not None and done.judged is not None and ended == Ended()
    assert [one.reason for one in done.judged.boxes] == ["the judge failed: ZeroDivisionError"] * 2
    assert {one.right for one in done.judged.others} == {None} and "ZeroDivisionError" in capsys.readouterr().err


def test_the_judge_sees_the_picture(studio: Studio) -> None:
    seen: list[Any] = []

    def judge(image: np.ndarray, layout: Any, style: Any) -> Judged:
        seen.append((image, layout, style))
        boxes = (BoxVerdict("right", "IoU 0.9", (0.1, 0.1, 0.4, 0.4)), BoxVerdict("unjudged"))
        return Judged(boxes, (OtherVerdict("style checks", False, "found dots"),))

    judged, wanted = Studio("mini", studio.loading, judge), job(drawing())
    shown = Shown(wanted.drawing, wanted.choices, wanted.runs, studio.loading)
    judged._models = studio._models
    for update in judged.draw(wanted):
        shown.take(update)
    ((image, layout, style),) = seen
    assert image.dtype == np.uint8 and image.shape == (64, 64, 3)
    assert layout == wanted.drawing.layout and style is wanted.drawing.style.image  # type: ignore[union-attr]
    view = shown.view()
    json.dumps(view)
    (panel,) = view["panels"]
    assert view["state"] == "done" and panel["score"] == [1, 2]
    assert [one["letter"] for one in panel["verdicts"]] == ["✓", "–"] and panel["others"][0]["letter"] == "✗"


def test_the_lines_repeat_the_picture(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit: the lines for the shell by the command itself, those for Python in a process of their own."""
    drawn = drawing(caption='it\'s a "photo" of a red circle and a blue arch $HOME `ls`')
    wanted = job(drawn, "ip-adapter")
    made = pictures(studio, wanted)
    assert drawn.style is not None
    (tmp_path / drawn.style.name).write_bytes(drawn.style.png())
    (tmp_path / LAYOUT_FILE).write_text(layout_file(drawn), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for run, image in zip(wanted.runs, made, strict=True):
        words = subprocess.run(  # as the shell splits them
            ["bash", "-c", f'amdm() {{ printf "%s\\0" "$@"; }}; {shell_lines(run, "mini", 7, studio.loading)}'],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")[:-1]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert np.array_equal(np.asarray(load_style(tmp_path / run.file)), np.asarray(image)), run.title
        (tmp_path / run.file).unlink()
    script = "\n".join(python_lines(run, "mini", 7, drawn, studio.loading) for run in wanted.runs)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment, capture_output=True)
    for run, image in zip(wanted.runs, made, strict=True):
        assert np.array_equal(np.asarray(load_style(tmp_path / run.file)), np.asarray(image)), run.title


def test_the_lines_hold_the_models_as_the_page_did(studio: Studio) -> None:
    run, held = job(drawing(False)).runs[0], LoadOptions(Path("my weights"), "cuda:1", torch.float16)
    assert "--device cuda:1 \\\n    --dtype float16 \\\n    --weights-dir 'my weights'" in shell_lines(
        run, "paper", 7, held
    )
    lines = python_lines(run, "paper", 7, drawing(False), held)
    assert "device=\"cuda:1\", torch_dtype=torch.float16, weights_dir='my weights')" in lines


def test_what_was_typed_stays_text_in_the_lines(studio: Studio) -> None:
    evil = "'); import os; os.system('true') #\n\\"
    drawn = drawing(False, boxes=[{"phrase": evil, "box": [0, 0, 0.5, 0.5]}], joins=[], caption=evil)
    wanted = job(drawn)
    names: dict[str, Any] = {}
    text = python_lines(wanted.runs[0], "mini", 7, drawn, studio.loading)
    exec(text.partition("\npipe =")[0], names)
    assert names["layout"] == drawn.layout and "os" not in names


def test_the_page_is_told_of_words_that_no_mini_model_knows() -> None:
    drawn = drawing(False, boxes=[*BOXES, {"phrase": "a <b>dog</b>", "box": [0, 0, 0.5, 0.5]}])
    (line,) = notes("mini", drawn.layout)
    assert "“a <b>dog</b>”" in line and notes("paper", drawn.layout) == [] == notes("mini", drawing(False).layout)
    assert message_view("x")["state"] == "failed"
