"""The command line: a picture from a layout file, and each bad input as one line with exit 2 and nothing written."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from amdm import cli
from amdm.mini.models import MiniModels

EXAMPLE = Path(__file__).resolve().parents[2] / "data" / "examples" / "mini.json"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["amdm", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def test_a_picture_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:  # type: ignore[type-arg]
    out = tmp_path / "picture.png"
    options = ("--preset", "interactdiffusion+migc", "--layout", EXAMPLE, "--out", out, "--scale", 2, "--trace")
    assert run(monkeypatch, "generate", *options) == 0
    assert Image.open(out).size == (128, 128)
    assert "distance_to_mean" in capsys.readouterr().out


BAD = {
    "not JSON": ("{", "cannot be read as JSON"),
    "no caption": ({"segment": []}, "caption: is missing"),
    "a box outside": (
        {"caption": "c", "segment": [{"label": "a red ring", "bbox": [0, 0, 2, 1]}]},
        "segment[0].bbox: x2 = 2 is outside [0, 1]; boxes are x1, y1, x2, y2",
    ),
    "an empty box": ({"caption": "c", "segment": [{"label": "a red ring", "bbox": [0.5, 0, 0.5, 1]}]}, "x2 ≤ x1"),
    "NaN": ('{"caption": "c", "segment": [{"label": "a", "bbox": [NaN, 0, 1, 1]}]}', "not a finite number"),
    "an empty phrase": (
        {"caption": "c", "segment": [{"label": " ", "bbox": [0, 0, 1, 1]}]},
        "segment[0].label: must be",
    ),
    "no instance": ({"caption": "c", "segment": []}, "0 instances and interactions"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_layouts(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    content, expected = BAD[name]
    path, out = tmp_path / "layout.json", tmp_path / "out.png"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    assert run(monkeypatch, "generate", "--preset", "interactdiffusion", "--layout", path, "--out", out) == 2
    shown = capsys.readouterr().err.strip()
    assert shown.startswith("error: ") and expected in shown and "\n" not in shown
    assert not out.exists()


def test_unknown_preset_and_option(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    out = tmp_path / "out.png"
    assert run(monkeypatch, "generate", "--preset", "nope", "--layout", EXAMPLE, "--out", out) == 2
    assert "unknown method 'nope'" in capsys.readouterr().err
    assert run(monkeypatch, "generate", "--nope") == 2
    assert not out.exists()


def test_doctor_says_what_one_base_saves(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    assert run(monkeypatch, "doctor", "--weights-dir", tmp_path) == 0
    shown = capsys.readouterr().out
    saved = int(re.search(r"mini models: .* saves (\d+) MiB", shown)[1])  # type: ignore[index]
    base = sum(p.numel() * 4 for p in MiniModels().base.unet.parameters()) / 2**20
    assert saved == pytest.approx(2 * base, abs=1)
    assert "weights of paper: 0 of" in shown and "migc" in shown
    assert run(monkeypatch, "doctor", "--weights-dir", tmp_path, "--load") == 0
    assert "paper's models: NOT USABLE" in capsys.readouterr().out


def test_overrides_and_conditions_that_nobody_reads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    out = tmp_path / "out.png"
    common = ("generate", "--layout", EXAMPLE, "--out", out, "--profile", "mini")
    assert run(monkeypatch, *common, "--preset", "migc", "--set", "settings.migc.migc_step=3") == 2
    assert "settings.migc.migc_step" in capsys.readouterr().err
    style = EXAMPLE.parent / "style.png"
    assert run(monkeypatch, *common, "--preset", "migc", "--style", style) == 2
    assert "style: migc would ignore it" in capsys.readouterr().err
    assert run(monkeypatch, *common, "--preset", "migc", "--dtype", "float16") == 2
    assert not out.exists()
    assert run(monkeypatch, *common, "--preset", "migc", "--steps", 2) == 0 and out.exists()


def test_what_is_asked_for_is_checked_before_the_layout(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    for options, what in (
        (("--preset", "migc", "--profile", "papr"), "profile: unknown profile 'papr'"),
        (("--preset", "interactdifusion+migc", "--profile", "mini"), "did you mean interactdiffusion+migc?"),
        (("--preset", "interactdiffusion+migc+ip-adapter", "--profile", "mini"), "it is one of the profile paper"),
        (("--preset", "migc", "--out", "x.jpg"), "x.jpg: pictures are written as PNG"),
        (("--preset", "migc", "--out", "nowhere/x.png"), "nowhere: is no folder"),
        (("--preset", "interactdiffusion+migc", "--profile", "mini", "--steps", "2"), "steps 1 to 3 (counted from 0)"),
    ):
        assert run(monkeypatch, "generate", *options) == 2
        assert what in capsys.readouterr().err


def test_words_that_the_mini_models_do_not_know_are_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    segment = [
        {"label": "a purple dog", "bbox": [0.1, 0.1, 0.5, 0.5]},
        {"label": "a red ring", "bbox": [0.5, 0.5, 1, 1]},
    ]
    (tmp_path / "l.json").write_text(json.dumps({"caption": "c", "segment": segment}))
    options = ("--preset", "migc", "--profile", "mini", "--steps", "1", "--layout", tmp_path / "l.json")
    assert run(monkeypatch, "generate", *options, "--out", tmp_path / "x.png") == 0
    shown = capsys.readouterr().err
    assert "warning: the mini models know a <red | blue" in shown and "'a purple dog'" in shown
    assert "'a red ring'" not in shown


def test_a_trace_of_one_model_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    assert run(monkeypatch, "generate", "--preset", "migc", "--trace", "--out", tmp_path / "a.png") == 2
    assert capsys.readouterr().err == "error: trace: migc has one model: nothing is aggregated\n"
