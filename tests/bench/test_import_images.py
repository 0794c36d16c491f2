"""Generators that are not ours: the example of the documents is measured; no picture of a folder is lost."""

from __future__ import annotations

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

from bench.cli import main
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.layouts.readers import write_json
from bench.layouts.vocabulary import MINI
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.verify import verify_run
from tests.bench.fakes import paint

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


@pytest.mark.usefixtures("fake_judge")
def test_unreadable_pictures_fail_and_missing_ones_are_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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
    capsys: pytest.CaptureFixture[str],
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
    capsys: pytest.CaptureFixture[str],
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
