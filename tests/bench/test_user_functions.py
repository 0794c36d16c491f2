"""Functions of users: what they must give, and what is said where they fail or cannot be called."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.generators.function import callable_digest
from bench.layouts.named import load_layouts
from bench.run.info import RunInfo
from bench.run.verify import verify_run
from tests.bench.fakes import change_info
from tests.bench.test_import_images import generator, run

__all__ = ["generator"]
BLACK = "return [np.zeros((64, 64, 3), np.uint8) for _ in layouts]"


def write_function(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, *lines: str) -> None:
    """A module with ``draw(layouts, seeds)`` of these lines, in the folder that becomes the current one."""
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)
    body = "\n    ".join(lines)
    code = f"import numpy as np\nfrom PIL import Image\n\n\ndef draw(layouts, seeds):\n    {body}\n"
    (folder / f"{module}.py").write_text(code)


@pytest.mark.parametrize("name", ["no_such_module:f", "my_generator:nothing", "my_generator:COLOURS", "my_generator"])
def test_what_cannot_be_called_is_one_line(
    name: str,
    generator: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "run", "--generator", name, "--layouts", "mini", "--detector", "mini") == 2
    shown = capsys.readouterr().err.strip()
    assert shown.startswith("error: generator: ") and "\n" not in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("return []", "returned 0 pictures for 4 layouts"),
        ("return [np.zeros((64, 64, 3), np.uint8)]", "returned 1 pictures for 4 layouts"),
        ("return None", "returned NoneType; it must return a list of pictures"),
        ("return {'images': 4}", "returned dict"),
        ("return [None for _ in layouts]", "gave a picture that is a NoneType; it must be a PIL image"),
        ("return [np.full((64, 64, 3), 255.0) for _ in layouts]", "floats from 255 to 255; they must be in [0, 1]"),
        ("return [Image.new('F', (64, 64)) for _ in layouts]", 'holds float values (mode "F")'),
        ("return [np.zeros((3, 64, 64), np.uint8) for _ in layouts]", "uint8 and shape (3, 64, 64)"),
        ("return [np.zeros((0, 64, 3), np.uint8) for _ in layouts]", "uint8 and shape (0, 64, 3)"),
        ("return [np.zeros((1, 100_000, 3), np.uint8) for _ in layouts]", "that has a side of more than 8192 pixels"),
        ("return [np.zeros((4100, 4100, 3), np.uint8) for _ in layouts]", "that has more than 16,777,216 pixels"),
    ],
)
@pytest.mark.usefixtures("fake_judge")
def test_a_generator_that_gives_no_pictures_stops_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    body: str,
    what: str,
) -> None:
    write_function(tmp_path, monkeypatch, "wrong", body)
    assert run(monkeypatch, "run", "--generator", "wrong:draw", "--layouts", "mini", "--limit", "5", "--out", "r") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: generator wrong:draw: ") and what in error


@pytest.mark.usefixtures("fake_judge")
def test_why_the_first_sample_failed_is_in_the_last_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = load_layouts("mini").entries[0].layout.caption
    fails = f"if layouts[0].caption == {first!r}: raise ValueError('no ink')"
    write_function(tmp_path, monkeypatch, "failing", fails, BLACK)
    assert (
        run(monkeypatch, "run", "--generator", "failing:draw", "--layouts", "mini", "--limit", "5", "--out", "r") == 1
    )
    assert "1 samples failed, the first with ValueError: no ink" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("fake_judge")
def test_the_usual_detector_and_a_rounded_limit_are_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_function(tmp_path, monkeypatch, "plain", BLACK)
    for options in (("--limit", "7"), ("--limit", "10", "--detector", "mini")):
        assert run(monkeypatch, "run", "--generator", "plain:draw", "--layouts", "mini", *options) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.usefixtures("fake_judge")
def test_what_a_run_folder_names_is_never_imported(
    generator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--layouts", "mini", "--detector", "mini", "--limit", 5, "--out", "run")
    assert run(monkeypatch, "run", "--generator", generator, *options) == 0
    (tmp_path / "hostile.py").write_text("open('imported', 'w')\ndef make(layouts, seeds): pass\n")
    digest = RunInfo.read(Path("run")).job.digest
    change_info(Path("run"), generator="hostile:make", weights={"hostile:make": digest})
    for command in ("verify", "score", "table"):
        run(monkeypatch, command, "run")
    run(monkeypatch, "merge", "out", "run")
    assert "hostile" not in sys.modules and not Path("imported").exists()


@pytest.mark.usefixtures("fake_judge")
def test_a_function_that_always_fails_says_why(
    generator: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Path("my_generator.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef broken(layouts, seeds):\n    return 1 / 0\n")
    options = ("--layouts", "mini", "--detector", "mini", "--limit", 5)
    monkeypatch.setattr("bench.generators.presets.true_renderings", lambda *_: 1 / 0)
    assert run(monkeypatch, "run", "--generator", "my_generator:broken", *options) == 2
    assert "all 10 samples failed, the first with ZeroDivisionError" in capsys.readouterr().err.splitlines()[-1]


def test_an_object_that_can_be_called_is_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "objects", raising=False)
    (tmp_path / "objects.py").write_text(
        "class C:\n    def __call__(self, a, b): return []\n\n\none = C()\nbuiltin = len\n"
    )
    assert callable_digest("objects:one") == hashlib.sha256((tmp_path / "objects.py").read_bytes()).hexdigest()
    with pytest.raises(InputError, match="the source of 'objects:builtin' was not found"):
        callable_digest("objects:builtin")


FAILING = """
import helper
from bench.layouts.named import load_layouts

FIRST = load_layouts("mini").entries[0].layout.caption
tries = []


def draw(layouts, seeds):
    if layouts[0].caption == FIRST:
        tries.append(len(layouts))
        if len(tries) <= TIMES:
            return helper.mixed(layouts)
    return helper.whole(layouts)
"""


HELPER = """
import numpy as np


def mixed(layouts):
    raise ValueError("no ink")


def whole(layouts):
    return [np.zeros((64, 64, 3), np.uint8) for _ in layouts]
"""


def failing(folder: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> str:
    """A generator in a file outside of sys.path, with a module beside it, that fails so many times."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    (folder / "deep").mkdir()
    (folder / "deep" / "mine.py").write_text(f"TIMES = {times}\n{FAILING}")
    (folder / "deep" / "helper.py").write_text(HELPER)
    monkeypatch.chdir(folder)
    return "deep/mine.py:draw"


@pytest.mark.usefixtures("fake_judge")
def test_the_users_own_traceback_is_kept_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = failing(tmp_path, monkeypatch, 99)
    assert run(monkeypatch, "run", "--generator", name, "--layouts", "mini", "--limit", "5", "--out", "r") == 1
    shown, kept = capsys.readouterr().err, (tmp_path / "r" / "errors.txt").read_text()
    for text in (shown, kept):
        assert f'File "{tmp_path}/deep/helper.py", line 6, in mixed' in text
        assert f'File "{tmp_path}/deep/mine.py", line 14, in draw' in text and "ValueError: no ink" in text
        assert "/bench/attempts.py" not in text
    assert kept.count("Traceback (most recent call last)") == 4 and shown.count("Traceback") == 1
    assert "draw: 4 samples from " in kept and kept.count("draw: 1 samples from ") == 3
    assert shown.splitlines()[-1].startswith("error: 1 samples failed, the first with ValueError: no ink")
    assert "r/errors.txt" in shown


@pytest.mark.usefixtures("fake_judge")
def test_what_failed_and_went_well_again_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = failing(tmp_path, monkeypatch, 2)
    assert run(monkeypatch, "run", "--generator", name, "--layouts", "mini", "--limit", "5", "--out", "r") == 0
    assert (tmp_path / "r" / "errors.txt").read_text().count("in mixed") == 2
    assert "Traceback" not in capsys.readouterr().err
    assert verify_run(tmp_path / "r") == []


@pytest.mark.parametrize(
    ("body", "name", "what"),
    [
        ("import no_such_package", "own.py:draw", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("import no_such_package", "own:draw", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise SystemExit(3)", "own.py:draw", "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported_shows_where(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    body: str,
    name: str,
    what: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own", raising=False)
    (tmp_path / "own.py").write_text(f"\n{body}\n")
    assert run(monkeypatch, "run", "--generator", name, "--layouts", "mini") == 2
    *shown, last = capsys.readouterr().err.splitlines()
    assert last == f"error: generator: {name!r} cannot be imported: {what}"
    assert shown[0] == "Traceback (most recent call last):" and 'own.py", line 2, in <module>' in shown[1]


@pytest.mark.parametrize("name", ["none.py:draw", "own.py:none", "own.py", ":draw"])
def test_a_file_or_function_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own.py").write_text("")
    assert run(monkeypatch, "run", "--generator", name, "--layouts", "mini") == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: generator: ") and shown.count("\n") == 1


@pytest.mark.usefixtures("fake_judge")
@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("return [np.full((64, 64, 3), np.nan) for _ in layouts]", "NaN or infinity in the latents or the picture"),
        ("raise SystemExit(0)", "RuntimeError: the function ended the program (0)"),
    ],
)
def test_a_sample_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sometimes.py").write_text(
        "import numpy as np\nfrom bench.layouts.named import load_layouts\n"
        "FIRST = load_layouts('mini').entries[0].layout.caption\n\n\ndef draw(layouts, seeds):\n"
        f"    if layouts[0].caption == FIRST:\n        {body}\n"
        "    return [np.zeros((64, 64, 3)) for _ in layouts]\n"
    )
    options = ("--layouts", "mini", "--limit", "5", "--batch", "1", "--out", "r")
    assert run(monkeypatch, "run", "--generator", "sometimes.py:draw", *options) == 1
    assert f"error: 1 samples failed, the first with {what}" in capsys.readouterr().err.splitlines()[-1]
