"""Generators that are not ours: the example of the documents is measured; no picture of a folder is lost."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest

from amdm.errors import InputError
from bench.cli import main
from bench.generators.function import callable_digest
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.layouts.readers import write_json
from bench.layouts.vocabulary import MINI
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.verify import verify_run
from tests.bench.fakes import change_info, paint

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "any-generator.md"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["amdm-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    return int(stopped.value.code or 0)


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example of the documents, as a module in the current folder."""
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    (tmp_path / "my_generator.py").write_text(code[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_generator", raising=False)
    return "my_generator:boxes"


@pytest.mark.usefixtures("fake_judge")
def test_the_documents_example(generator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    options = ("--layouts", "mini", "--detector", "mini", "--limit", 5, "--out", out)
    assert run(monkeypatch, "run", "--generator", generator, *options) == 0
    samples = read_table(out, "samples")
    assert (samples[samples.method == "boxes"].status == "ok").sum() == 5
    settings = RunInfo.read(out).settings
    assert set(settings.weights) == {generator} and settings.job.generator == generator
    assert "boxes" in (tmp_path / "reports" / "run" / "table1.md").read_text(encoding="utf-8")

    pictures = tmp_path / "official"
    assert run(monkeypatch, "export", out, "--method", "boxes", "--to", pictures) == 0
    again = tmp_path / "again"
    options = ("--layouts", "mini", "--detector", "mini", "--method", "taken", "--out", again)
    assert run(monkeypatch, "score", "--images", pictures, *options) == 0
    first, second = (read_table(folder, "verdicts") for folder in (out, again))
    own = first[first.method == "boxes"].drop(columns="method").reset_index(drop=True)
    taken = second[second.method == "taken"].drop(columns="method").reset_index(drop=True)
    assert own.equals(taken) and len(own) > 10


@pytest.mark.parametrize("name", ["no_such_module:f", "my_generator:nothing", "my_generator:COLOURS", "my_generator"])
def test_what_cannot_be_called_is_one_line(
    name: str,
    generator: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    assert run(monkeypatch, "run", "--generator", name, "--layouts", "mini", "--detector", "mini") == 2
    shown = capsys.readouterr().err.strip()
    assert shown.startswith("error: generator: ") and "\n" not in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("fake_judge")
def test_unreadable_pictures_fail_and_missing_ones_are_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    monkeypatch.chdir(tmp_path)
    layouts = load_layouts("mini").subset(5)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for entry in layouts.entries[:3]:
        cv2.imwrite(str(folder / f"p_{entry.key}.png"), np.full((64, 64, 3), 128, np.uint8))
    (folder / f"p_{layouts.entries[3].key}.png").write_bytes(b"\x89PNG torn")
    options = ("--layouts", "mini", "--detector", "mini", "--out", tmp_path / "run")
    assert run(monkeypatch, "score", "--images", folder, *options) == 1
    samples = read_table(tmp_path / "run", "samples")
    assert sorted(samples.status) == ["failed", "ok", "ok", "ok"]
    shown = capsys.readouterr()
    assert "4 found, 796 missing, 0 duplicate, 0 stray, 0 twins" in shown.out
    assert f"records and pictures: {tmp_path / 'run'}\n" in shown.out
    assert "error: 1 pictures cannot be read or judged" in shown.err
    shutil.rmtree(folder)
    folder.mkdir()
    assert run(monkeypatch, "score", "--images", folder, *options) == 2
    shown = capsys.readouterr().err
    assert "no picture that is named …_<key>.png" in shown and "keys 0, 1, …, 799" in shown and "--mapping" in shown


@pytest.mark.usefixtures("fake_judge")
def test_pictures_of_a_part_of_a_set_are_measured_as_that_part(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for entry in load_layouts("mini").subset(5).entries:
        cv2.imwrite(str(tmp_path / "pictures" / f"p_{entry.key}.png"), np.full((64, 64, 3), 128, np.uint8))
    options = ("--images", "pictures", "--layouts", "mini", "--limit", "5", "--out", "run")
    assert run(monkeypatch, "score", *options) == 0
    shown = capsys.readouterr().out
    assert "5 found, 0 missing" in shown and "5 of 800 layouts" in shown and "Missing" not in shown


def test_options_of_the_other_use_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "score", tmp_path, "--method", "x") == 2
    assert "method: goes with --images" in capsys.readouterr().err
    assert run(monkeypatch, "score", "--images", tmp_path, "--layouts", "mini", "--again") == 2
    assert "again: goes with a run folder" in capsys.readouterr().err


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
        (
            "return [np.zeros((1, 100_000, 3), np.uint8) for _ in layouts]",
            "of shape (1, 100000, 3); at most 16,777,216",
        ),
        ("return [np.zeros((4100, 4100, 3), np.uint8) for _ in layouts]", "of shape (4100, 4100, 3); at most"),
    ],
)
@pytest.mark.usefixtures("fake_judge")
def test_a_generator_that_gives_no_pictures_stops_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    body: str,
    what: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "wrong", raising=False)
    (tmp_path / "wrong.py").write_text(
        f"import numpy as np\nfrom PIL import Image\n\n\ndef draw(layouts, seeds):\n    {body}\n"
    )
    assert run(monkeypatch, "run", "--generator", "wrong:draw", "--layouts", "mini", "--limit", "5", "--out", "r") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: generator wrong:draw: ") and what in error


@pytest.mark.usefixtures("fake_judge")
def test_why_the_first_sample_failed_is_in_the_last_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "failing", raising=False)
    body = "if layouts[0].caption == first: raise ValueError('no ink')"
    first = load_layouts("mini").entries[0].layout.caption
    (tmp_path / "failing.py").write_text(
        f"import numpy as np\nfirst = {first!r}\n\n\ndef draw(layouts, seeds):\n    {body}\n"
        "    return [np.zeros((64, 64, 3), np.uint8) for _ in layouts]\n"
    )
    assert (
        run(monkeypatch, "run", "--generator", "failing:draw", "--layouts", "mini", "--limit", "5", "--out", "r") == 1
    )
    assert "1 samples failed, the first with ValueError: no ink" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("fake_judge")
def test_the_usual_detector_and_a_rounded_limit_are_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "plain", raising=False)
    (tmp_path / "plain.py").write_text(
        "import numpy as np\n\n\ndef draw(layouts, seeds):\n"
        "    return [np.zeros((64, 64, 3), np.uint8) for _ in layouts]\n"
    )
    for options in (("--limit", "7"), ("--limit", "10", "--detector", "mini")):
        assert run(monkeypatch, "run", "--generator", "plain:draw", "--layouts", "mini", *options) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1


def whole_folder(folder: Path, layouts: Path, method: str) -> Path:
    """A picture for each layout of a small set, which is written too."""
    entries = load_layouts("mini").subset(5).entries
    write_json(LayoutSet("five", entries, MINI), layouts)
    folder.mkdir()
    images = paint(method, [entry.layout for entry in entries], [entry.key for entry in entries]).images
    for entry, image in zip(entries, images, strict=True):
        cv2.imwrite(str(folder / f"p_{entry.key}.png"), image[..., ::-1])
    return folder


@pytest.mark.usefixtures("fake_judge")
def test_other_pictures_are_another_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    """Two folders under one method name: the second must never be shown the first one's verdicts."""
    monkeypatch.chdir(tmp_path)
    layouts = tmp_path / "five.json"
    good, bad = (whole_folder(tmp_path / name, layouts, name) for name in ("perfect", "second"))
    options = ("--layouts", layouts, "--detector", "mini", "--workers", 1)
    for folder in (good, bad):
        assert run(monkeypatch, "score", "--images", folder, *options) == 0
    made = sorted((tmp_path / "runs").iterdir())
    rates = {taken_from(one): read_table(one, "verdicts").attr.mean() for one in made}
    assert len(made) == 2 and rates[str(good)] > rates[str(bad)]
    capsys.readouterr()
    assert (
        run(monkeypatch, "score", "--images", good, *options, "--out", made[0])
        + run(monkeypatch, "score", "--images", bad, *options, "--out", made[0])
        == 2
    )  # one of them made it, the other is refused
    assert "run.json: digest: was" in capsys.readouterr().err


def taken_from(run: Path) -> object:
    counts = RunInfo.read(run).progress.taken_from
    return counts and counts["folder"]


@pytest.mark.usefixtures("fake_judge")
def test_a_run_of_pictures_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, layouts = whole_folder(tmp_path / "perfect", tmp_path / "five.json", "perfect"), tmp_path / "five.json"
    options = ("--layouts", layouts, "--detector", "mini", "--workers", 1)
    assert run(monkeypatch, "score", "--images", folder, *options, "--out", "run") == 0
    assert verify_run(Path("run")) == [] and RunInfo.read(Path("run")).status == "complete"
    next(folder.iterdir()).unlink()
    assert run(monkeypatch, "score", "--images", folder, *options, "--out", "less") == 0
    assert RunInfo.read(Path("less")).status == "gaps"
    (problem,) = verify_run(Path("less"))
    assert problem.startswith("1 samples without a record")


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
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
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


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I", "I;16", "I;16B", "I;16L"]
"""All that Pillow can write to a TIFF, but float."""
if int(PIL.__version__.partition(".")[0]) < 13:
    MODES[MODES.index("YCbCr")] = "RGB"  # it does not read what it wrote

PICTURES_OF_MODES = f"""
import numpy as np
from PIL import Image

MODES = {MODES}


def picture(number):
    noise = np.random.default_rng(number).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    mode = MODES[number % len(MODES)]
    if mode == "PA":
        image = Image.frombytes("PA", (64, 64), noise[..., :2].tobytes())
        image.putpalette(bytes(range(256)) + bytes(512))
    elif mode.startswith("I"):
        wide = (noise[..., 0].astype(np.int32) << 8) + noise[..., 1]
        kind = {{"I": np.int32, "I;16B": ">u2"}}.get(mode, "<u2")
        image = Image.frombytes(mode, (64, 64), wide.astype(kind).tobytes())
    else:
        image = Image.fromarray(noise if mode.endswith("A") else noise[..., :3]).convert(mode)
    assert image.mode == mode
    return image


def draw(layouts, seeds):
    return [picture(NUMBER[layout.caption]) for layout in layouts]
"""


@pytest.mark.usefixtures("fake_judge")
def test_a_function_and_a_folder_give_the_same_pictures_in_every_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "modes", raising=False)
    entries = load_layouts("mini").subset(len(MODES)).entries
    numbers = {entry.layout.caption: k for k, entry in enumerate(entries)}
    assert len(numbers) == len(MODES)
    (tmp_path / "modes.py").write_text(f"{PICTURES_OF_MODES}\nNUMBER = {numbers!r}\n")
    options = ("--layouts", "mini", "--limit", len(MODES))
    assert run(monkeypatch, "run", "--generator", "modes:draw", *options, "--out", "called") == 0
    (tmp_path / "pictures").mkdir()
    modes = importlib.import_module("modes")
    for k, entry in enumerate(entries):
        modes.picture(k).save(tmp_path / "pictures" / f"x_{entry.key}.tif")
    assert run(monkeypatch, "score", "--images", "pictures", *options, "--method", "draw", "--out", "taken") == 0
    called, taken = (read_table(tmp_path / name, "samples") for name in ("called", "taken"))
    digests = [dict(zip(one.layout_index, one.sha256, strict=True)) for one in (called[called.method == "draw"], taken)]
    assert digests[0] == digests[1] and len(set(digests[0].values())) == len(MODES)


@pytest.mark.usefixtures("fake_judge")
def test_what_diffusers_gives_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object with ``images``: a tensor (B, 3, H, W) in [0, 1] is the arrays that it stands for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "forms.py").write_text(
        "from types import SimpleNamespace\nimport numpy as np\nimport torch\n\n\n"
        "def arrays(layouts, seeds):\n"
        "    return [np.random.default_rng(s).integers(0, 256, (64, 64, 3), np.uint8) for s in seeds]\n\n\n"
        "def tensors(layouts, seeds):\n"
        "    made = torch.from_numpy(np.stack(arrays(layouts, seeds))).permute(0, 3, 1, 2) / 255\n"
        "    return SimpleNamespace(images=made)\n"
    )
    digests = []
    for name in ("arrays", "tensors"):
        options = ("--layouts", "mini", "--limit", 5, "--out", name, "--name", "mine")
        assert run(monkeypatch, "run", "--generator", f"forms.py:{name}", *options) == 0
        samples = read_table(tmp_path / name, "samples")
        digests.append(samples[samples.method == "mine"].sha256.tolist())
    assert digests[0] == digests[1] and len(set(digests[0])) == 5


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


@pytest.mark.parametrize("detector", ["mini", "yolo"])
def test_words_that_the_judge_does_not_know_are_named_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], detector: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("def draw(layouts, seeds):\n    open('called', 'w')\n")
    words = ("dining table", "cat") if detector == "mini" else ("circle", "ring")
    segment = [{"label": f"a red {word}", "bbox": [0.1, 0.1, 0.4, 0.4]} for word in words]
    (tmp_path / "words.json").write_text(json.dumps({"0": {"caption": "two things", "segment": segment}}))
    options = ("--layouts", "words.json", "--detector", detector, "--out", "r")
    assert run(monkeypatch, "run", "--generator", "own.py:draw", *options) == 2
    able = "grounded-sam, yolo" if detector == "mini" else "mini, grounded-sam"
    shown = ", ".join(map(repr, sorted(words)))
    expected = f"error: detector: {detector} does not know {shown} of words; {able} can judge it\n"
    assert capsys.readouterr().err == expected
    assert not Path("called").exists() and not Path("r").exists()
    whole_pictures = tmp_path / "pictures"
    whole_pictures.mkdir()
    cv2.imwrite(str(whole_pictures / "0.png"), np.zeros((8, 8, 3), np.uint8))
    assert run(monkeypatch, "score", "--images", whole_pictures, *options) == 2
    assert capsys.readouterr().err == expected and not Path("r").exists()


@pytest.mark.usefixtures("fake_judge")
def test_a_folder_a_seed_is_a_run_of_several_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    layouts = tmp_path / "five.json"
    (tmp_path / "pictures").mkdir()
    for k, method in enumerate(("perfect", "second")):
        whole_folder(tmp_path / "pictures" / f"seed{k}", layouts, method)
        (tmp_path / "pictures" / f"seed{k}" / "._p_0.png").write_bytes(b"\0\5\x16\7")
    options = ("--layouts", layouts, "--detector", "mini", "--workers", 1)
    assert run(monkeypatch, "score", "--images", "pictures", *options, "--out", "run") == 0
    shown = capsys.readouterr().out
    assert (
        "10 found, 0 missing, 0 duplicate, 0 stray, 0 twins, 0 ambiguous, 2 foreign" in shown and "seeds 0, 1" in shown
    )
    verdicts = read_table(tmp_path / "run", "verdicts").groupby("seed").attr.mean()
    assert verdicts[0] == 1 > verdicts[1] and verify_run(Path("run")) == []
    assert run(monkeypatch, "score", "--images", "pictures", *options, "--seed", 0, "--out", "one") == 2
    error = capsys.readouterr().err
    assert "seed0/p_" in error and "are both of layout" in error and "seed0, seed1" in error and "--seed" in error
    assert "holds no picture" not in error and not Path("one").exists()
