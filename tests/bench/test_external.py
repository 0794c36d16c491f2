"""Generators that are not ours: the example of the documents is measured; no picture of a folder is lost."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from amdm.errors import InputError
from bench import cli
from bench.external import callable_digest, find_images
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.layouts.readers import write_json
from bench.layouts.vocabulary import MINI
from bench.store import read_run_info, read_table
from bench.verify import verify_run
from tests.bench.fakes import paint

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "any-generator.md"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["amdm-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
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
    info = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert set(info["weights"]) == {generator} and info["generator"] == generator
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


def test_files_are_found_by_name_and_accounted_for(tmp_path: Path) -> None:
    layouts = load_layouts("mini").subset(10)
    keys = [entry.key for entry in layouts.entries]
    picture = np.full((64, 64, 3), 128, np.uint8)
    names = [
        f"000001_{keys[0]}.png",
        f"a caption_420_{keys[1]}.png",
        f"x_{keys[2]}.png",
        f"y_{keys[2]}.jpg",
        "stray.png",
    ]
    for name in [*names, f"anno_x_{keys[3]}.png"]:
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "notes.txt").write_text("not a picture")
    found = find_images(tmp_path, layouts)
    index = [entry.index for entry in layouts.entries]
    assert {k: path.name for k, path in found.paths.items()} == {index[0]: names[0], index[1]: names[1]}
    assert found.duplicate == [names[2], names[3]] and found.stray == ["stray.png"]
    assert found.twins == [f"anno_x_{keys[3]}.png"]
    assert found.missing == sorted(index[3:])


def test_files_are_found_by_a_mapping(tmp_path: Path) -> None:
    layouts = load_layouts("mini").subset(5)
    folder, table = tmp_path / "pictures", tmp_path / "files.csv"
    folder.mkdir()
    cv2.imwrite(str(folder / "one.png"), np.zeros((8, 8, 3), np.uint8))
    key = layouts.entries[2].key
    table.write_text(f"file,key\none.png,{key}\n")
    assert list(find_images(folder, layouts, table).paths) == [layouts.entries[2].index]
    for content, what in (
        ("file,key\nnone.png,1\n", "not in the folder"),
        ("name,key\none.png,1\n", "needs the columns"),
        ("file,key\none.png,1\none.png,2\n", "stands twice"),
        ("file,key\none.png,zz\n", "one.png: 'zz' is the key of no layout of mini"),
    ):
        table.write_text(content)
        with pytest.raises(InputError, match=what):
            find_images(folder, layouts, table)


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
        ("return [np.zeros((64, 64, 3)) for _ in layouts]", "float64 and shape (64, 64, 3)"),
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
    (tmp_path / "wrong.py").write_text(f"import numpy as np\n\n\ndef draw(layouts, seeds):\n    {body}\n")
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
    rates = {read_run_info(one)["taken_from"]["folder"]: read_table(one, "verdicts").attr.mean() for one in made}
    assert len(made) == 2 and rates[str(good)] > rates[str(bad)]
    capsys.readouterr()
    assert (
        run(monkeypatch, "score", "--images", good, *options, "--out", made[0])
        + run(monkeypatch, "score", "--images", bad, *options, "--out", made[0])
        == 2
    )  # one of them made it, the other is refused
    assert "run.json: digest: was" in capsys.readouterr().err


@pytest.mark.usefixtures("fake_judge")
def test_a_run_of_pictures_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, layouts = whole_folder(tmp_path / "perfect", tmp_path / "five.json", "perfect"), tmp_path / "five.json"
    options = ("--layouts", layouts, "--detector", "mini", "--workers", 1)
    assert run(monkeypatch, "score", "--images", folder, *options, "--out", "run") == 0
    assert verify_run(Path("run")) == [] and read_run_info(Path("run"))["status"] == "complete"
    next(folder.iterdir()).unlink()
    assert run(monkeypatch, "score", "--images", folder, *options, "--out", "less") == 0
    assert read_run_info(Path("less"))["status"] == "gaps"
    (problem,) = verify_run(Path("less"))
    assert problem.startswith("1 samples without a record")


@pytest.mark.usefixtures("fake_judge")
def test_what_a_run_folder_names_is_never_imported(
    generator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--layouts", "mini", "--detector", "mini", "--limit", 5, "--out", "run")
    assert run(monkeypatch, "run", "--generator", generator, *options) == 0
    (tmp_path / "hostile.py").write_text("open('imported', 'w')\ndef make(layouts, seeds): pass\n")
    info = read_run_info(Path("run"))
    info |= {"generator": "hostile:make", "weights": {"hostile:make": info["digest"]}}
    Path("run/run.json").write_text(json.dumps(info))
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
    monkeypatch.setattr("bench.factories.true_renderings", lambda *_: 1 / 0)
    assert run(monkeypatch, "run", "--generator", "my_generator:broken", *options) == 2
    assert "all 10 samples failed, the first with ZeroDivisionError" in capsys.readouterr().err.splitlines()[-1]


def test_an_object_that_can_be_called_is_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "objects", raising=False)
    (tmp_path / "objects.py").write_text(
        "class C:\n    def __call__(self, a, b): return []\n\n\none = C()\nbuiltin = len\n"
    )
    assert callable_digest("objects:one") == hashlib.sha256((tmp_path / "objects.py").read_bytes()).hexdigest()
    with pytest.raises(InputError, match="the source of 'objects:builtin' is not to be found"):
        callable_digest("objects:builtin")
