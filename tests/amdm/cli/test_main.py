"""The command line: a picture from a layout file, and each bad input as one line with exit 2 and nothing written."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from amdm.checkpoints.catalogue import files_of
from amdm.checkpoints.convert import converted_place
from amdm.cli import main
from amdm.cli.doctor import paper_verdict, report
from amdm.cli.generate import check_writable
from amdm.layout import read_layout
from amdm.mini.models import MiniModels
from amdm.pipeline import AMDMPipeline
from amdm.profiles import chosen_profile

EXAMPLE = Path(__file__).resolve().parents[3] / "data" / "examples" / "mini.json"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["amdm", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    return int(stopped.value.code or 0)


def test_a_picture_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:  # type: ignore[type-arg]
    out = tmp_path / "picture.png"
    options = ("--preset", "interactdiffusion+migc", "--layout", EXAMPLE, "--out", out, "--scale", 2, "--trace")
    assert run(monkeypatch, "generate", *options) == 0
    assert Image.open(out).size == (128, 128)
    assert "distance_to_mean" in capsys.readouterr().out


def test_the_picture_is_the_pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "picture.png"
    options = ("--preset", "migc", "--layout", EXAMPLE, "--out", out, "--profile", "mini", "--steps", 3, "--seed", 7)
    assert run(monkeypatch, "generate", *options) == 0
    pipe = AMDMPipeline.from_pretrained("mini", "migc")
    made = pipe(read_layout(EXAMPLE)[0], num_inference_steps=3, generator=torch.Generator().manual_seed(7)).images[0]
    assert Image.open(out).tobytes() == made.tobytes()


BAD = {
    "not JSON": ("{", "not JSON"),
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
    assert saved == pytest.approx(3 * base, abs=1)
    assert "weights of paper: 0 of" in shown and "migc" in shown
    assert run(monkeypatch, "doctor", "--weights-dir", tmp_path, "--load") == 0
    shown = capsys.readouterr().out
    assert "paper's models: NOT USABLE" in shown
    last = shown.splitlines()[-1]
    assert last.startswith("profile paper: CANNOT run here: ")
    for profile, whose in (("paper", "generators"), ("judge", "the judge")):
        assert f"{len(files_of(profile))} files of {whose} are absent (amdm weights fetch --profile {profile})" in last


def test_auto_looks_for_weights_where_they_are_said_to_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(tmp_path / "usual"))
    assert chosen_profile("auto", tmp_path)[0] == "mini"
    for one in files_of("paper"):
        (tmp_path / one.place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / one.place).touch()
    assert chosen_profile("auto", tmp_path) == ("paper", "a CUDA device and the checkpoints are present")
    assert chosen_profile("auto")[0] == "mini"
    options = ("--preset", "migc", "--layout", EXAMPLE, "--out", tmp_path / "out.png", "--device", "cpu")
    assert run(monkeypatch, "generate", *options, "--weights-dir", tmp_path) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {tmp_path}/") and shown.endswith("cannot be read as safetensors\n")  # it is empty
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run(monkeypatch, "generate", *options, "--steps", 1, "--weights-dir", tmp_path) == 0  # auto: the mini models
    assert run(monkeypatch, "generate", *options, "--weights-dir", tmp_path, "--profile", "mini") == 2
    assert "weights_dir: is of the public checkpoints; the mini models come with" in capsys.readouterr().err


def test_doctor_says_all_that_is_in_the_way_of_the_paper_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = SimpleNamespace(total_memory=6 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    monkeypatch.setattr("amdm.cli.doctor.os.sysconf", lambda name: 2**15 if name == "SC_PAGE_SIZE" else 2**17)
    for one in (one for profile in ("paper", "judge") for one in files_of(profile)):
        (tmp_path / one.place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / one.place).touch()
    said = paper_verdict(tmp_path)
    assert "6.0 GiB of GPU memory, about 10 are needed; 4.0 GiB of RAM, about 12 are needed" in said
    assert said.endswith("interactdiffusion, migc not converted (amdm weights convert)")
    memory.total_memory = 80 * 2**30
    monkeypatch.setattr("amdm.cli.doctor.os.sysconf", lambda name: 2**18)
    for name in ("interactdiffusion", "migc"):
        (tmp_path / converted_place(name)).parent.mkdir(parents=True)
        (tmp_path / converted_place(name)).touch()
    assert paper_verdict(tmp_path) == "can run here"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "99.0")
    monkeypatch.setattr("amdm.cli.doctor.DRIVER", tmp_path / "none")
    assert paper_verdict(tmp_path) == "CANNOT run here: no CUDA device (there is no NVIDIA driver)"
    (tmp_path / "none").touch()
    assert "torch cannot use it: it may be too old for CUDA 99.0" in paper_verdict(tmp_path)


def test_weights_list_ends_with_one_total(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    assert run(monkeypatch, "weights", "list", "--weights-dir", tmp_path, "--profile", "interactdiffusion-v1.2") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "in all: download about 5.1 GB, on disk about 9.4 GB with conversions"
    assert run(monkeypatch, "weights", "list", "--weights-dir", tmp_path, "--profile", "paper") == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1].endswith("without interactdiffusion (size not known)")
    assert "3,438,167,536 bytes" in shown and "earlier upload, a fallback: 1v5ik-94qlfKuCx-Cv1EfEkxNBygtsz0T" in shown


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
        (("--preset", "migc@own", "--profile", "mini"), "it is one of the profile paper"),
        (("--preset", "migc", "--out", "x.jpg"), "x.jpg: pictures are written as PNG"),
        (("--preset", "migc", "--out", "nowhere/x.png"), "nowhere: is not a folder"),
        (("--preset", "interactdiffusion+migc", "--profile", "mini", "--steps", "2"), "steps 1 to 3 (counted from 0)"),
    ):
        assert run(monkeypatch, "generate", *options) == 2
        assert what in capsys.readouterr().err


def test_where_no_picture_can_be_written_none_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("amdm.cli.generate.generate_picture", lambda *_: pytest.fail("a picture was drawn"))
    (tmp_path / "folder.png").mkdir()
    for name, what in (("folder.png", "cannot be written: Is a directory"), (f"{'x' * 300}.png", "cannot be written")):
        assert run(monkeypatch, "generate", "--preset", "migc", "--out", tmp_path / name) == 2
        assert what in capsys.readouterr().err
    check_writable(tmp_path / "new.png")
    assert not (tmp_path / "new.png").exists()
    (tmp_path / "old.png").write_bytes(b"old")
    check_writable(tmp_path / "old.png")
    assert (tmp_path / "old.png").read_bytes() == b"old"
    (tmp_path / "link.png").symlink_to(tmp_path / "later.png")
    check_writable(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()


@pytest.mark.parametrize(
    ("failure", "what"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried"),
            "error: the device has not enough memory for these models",
        ),
        (MemoryError(), "error: MemoryError"),
        (OSError(28, "No space left on device"), "error: [Errno 28] No space left on device"),
    ],
)
def test_what_fails_on_the_way_is_one_line_and_keeps_the_picture_of_before(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    tmp_path: Path,
    failure: Exception,
    what: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    out = tmp_path / "a.png"
    out.write_bytes(b"of before")
    monkeypatch.setattr("os.fsync" if isinstance(failure, OSError) else "amdm.cli.generate.AMDMPipeline.__call__", fail)
    options = ("--preset", "migc", "--profile", "mini", "--steps", 1, "--layout", EXAMPLE, "--out", out)
    assert run(monkeypatch, "generate", *options) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(what)
    assert out.read_bytes() == b"of before"


@pytest.mark.parametrize("field", ["settings.all.num_inference_steps", "settings.migc.num_inference_steps"])
def test_steps_that_are_given_twice_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    tmp_path: Path,
    field: str,
) -> None:
    out = tmp_path / "a.png"
    options = ("--preset", "migc", "--profile", "mini", "--steps", 1, "--set", f"{field}=2", "--out", out)
    assert run(monkeypatch, "generate", *options) == 2
    assert capsys.readouterr().err == "error: steps: is given twice: by --set, too\n"


def test_places_and_devices_that_cannot_be_are_bad_input(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    file.touch()
    for command, what in (
        (("weights", "fetch", "--weights-dir", file), f"{file}: cannot be a folder"),
        (("train-mini", "--folder", file), f"{file}: cannot be a folder"),
        (("train-mini", "--folder", tmp_path / "t", "--device", "gpu"), "device: 'gpu' is not a device of torch"),
        (("train-mini", "--folder", tmp_path / "t", "--seed", 2**64), "Invalid value for '--seed'"),
    ):
        assert run(monkeypatch, *command) == 2
        assert what in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


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


def test_what_is_cut_of_a_text_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    before = warnings.showwarning
    segment = [{"label": "a red ring", "bbox": [0.5, 0.5, 1, 1]}]
    caption = f"a photo of a red ring {'and a red ring ' * 7}and a blue arch "
    (tmp_path / "l.json").write_text(json.dumps({"caption": caption, "segment": segment}))
    options = ("--preset", "migc", "--profile", "mini", "--steps", "1", "--layout", tmp_path / "l.json")
    assert run(monkeypatch, "generate", *options, "--out", tmp_path / "x.png") == 0
    (shown,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("warning: ")]
    assert shown.endswith("has 38 tokens, of which 30 are read; cut: 'and a red ring and a blue arch '")
    assert warnings.showwarning is before


def test_weights_of_another_training_are_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    options = ("--preset", "migc", "--profile", "mini", "--steps", 1, "--out", tmp_path / "a.png", "--json")
    assert run(monkeypatch, "generate", *options) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["notes"] == [] and "AMDM_MINI_WEIGHTS_DIR" not in shown.err
    assert dict(report(tmp_path, False))["mini weights"] == "the shipped ones"
    models = MiniModels.load()
    models.base.unet.conv_in.weight.div_(2)
    models.save(tmp_path / "other")
    monkeypatch.setenv("AMDM_MINI_WEIGHTS_DIR", str(tmp_path / "other"))
    assert run(monkeypatch, "generate", *options) == 0
    shown = capsys.readouterr()
    (note,) = json.loads(shown.out)["notes"]
    assert note.startswith(f"AMDM_MINI_WEIGHTS_DIR is {tmp_path / 'other'}: ") and "not the shipped ones: unet " in note
    assert f"warning: {note}\n" in shown.err
    assert dict(report(tmp_path, False))["mini weights"] == note
    (tmp_path / "other" / "digests.json").unlink()
    assert dict(report(tmp_path, False))["mini weights"].startswith("NOT USABLE: ")
    assert run(monkeypatch, "generate", *options) == 2


def test_a_trace_of_one_model_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,  # type: ignore[type-arg]
) -> None:
    assert run(monkeypatch, "generate", "--preset", "migc", "--trace", "--out", tmp_path / "a.png") == 2
    assert capsys.readouterr().err == "error: trace: migc has one model: nothing is aggregated\n"
