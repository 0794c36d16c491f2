"""What trackers are given, read back from what they keep on this machine; each where its package is installed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from amdm.errors import InputError
from bench.track.registry import TRACKERS, check_tracker, track
from bench.track.results import MAX_PICTURES, results_of
from tests.bench.cli.command import SMALL, Call
from tests.bench.conftest import JobRunner
from tests.bench.fakes import paint
from tests.conftest import needs


@pytest.fixture
def made(run_fake_job: JobRunner, tmp_path: Path) -> tuple[Path, Path]:
    return run_fake_job("mine"), tmp_path / "reports" / "mine"


def test_results_are_those_of_the_report(made: tuple[Path, Path]) -> None:
    found = results_of(*made)
    summary = json.loads((made[1] / "summary.json").read_text())
    assert summary and found.name == "mine" and found.config["limit"] == 25
    assert 0 < found.metrics["interactdiffusion/isr"] < 1 and "migc/L2/miou" in found.metrics
    assert "ISR" in " ".join(found.table.columns)
    wrong = [int(one.caption.rpartition(": ")[2].partition(" ")[0]) for one in found.pictures]
    assert 0 < len(wrong) <= MAX_PICTURES and wrong == sorted(wrong, reverse=True) and min(wrong) > 0
    assert all(one.image.shape == (64, 64, 3) and "ceiling" not in one.caption for one in found.pictures)
    assert results_of(*made).key == found.key


def test_a_torn_picture_is_not_handed_over(made: tuple[Path, Path]) -> None:
    before = results_of(*made).pictures
    for path in (made[0] / "images" / "migc").iterdir():
        path.write_bytes(b"torn")
    assert [one.caption for one in results_of(*made).pictures] == [
        one.caption for one in before if not one.caption.startswith("migc")
    ]


def test_a_tracker_that_is_none_or_absent_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="track: unknown tracker 'wandbb'; did you mean wandb"):
        check_tracker("wandbb")
    monkeypatch.setattr("bench.track.registry.find_spec", lambda name: None)
    for name in TRACKERS:
        with pytest.raises(InputError, match=rf"track: {name} is not installed: pip install 'amdm\[{name}\]'"):
            check_tracker(name)


def test_nothing_is_run_for_a_tracker_that_is_absent(
    call: Call,
    fake_networks: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.track.registry.find_spec", lambda name: None)
    assert "is not installed" in call("migc", *SMALL, "--track", "wandb").error
    assert list(Path.cwd().iterdir()) == []


def test_a_tracker_that_fails_loses_nothing(
    call: Call,
    fake_networks: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> str:
        raise ConnectionError("no\nserver")

    monkeypatch.setattr("bench.track.registry.check_tracker", lambda name: None)
    monkeypatch.setattr("bench.track.registry.track", refuse)
    answer = call("migc", *SMALL, "--methods", "migc", "--out", "run", "--track", "wandb")
    assert answer.status == 1 and "error: wandb: ConnectionError: no\\nserver; the run is whole" in answer.err
    assert "# Table 1" in answer.out and Path("run/run.json").is_file()


def test_a_tracker_that_fails_does_not_hide_samples_that_failed(
    call: Call,
    fake_networks: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def torn(method: str, layouts: Any, keys: Any, **_: Any) -> SimpleNamespace:
        found = paint(method, layouts, keys)
        return SimpleNamespace(**{**vars(found), "finite": [False, *found.finite[1:]]})

    def refuse(*_: object) -> str:
        raise ConnectionError("no server")

    monkeypatch.setattr("bench.generators.presets.make_generator", lambda job: torn)
    monkeypatch.setattr("bench.track.registry.check_tracker", lambda name: None)
    monkeypatch.setattr("bench.track.registry.track", refuse)
    answer = call("migc", *SMALL, "--methods", "migc", "--out", "run", "--track", "wandb")
    assert (
        answer.status == 1 and "ConnectionError: no server" in answer.err and " samples failed, the first" in answer.err
    )


def test_tensorboard_has_event_files(made: tuple[Path, Path]) -> None:
    needs("tensorboard", "tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    results = results_of(*made)
    for _ in range(2):  # the second time in place of the first
        assert track("tensorboard", results) == f"tensorboard --logdir {made[1] / 'tensorboard'}"
    (file,) = (made[1] / "tensorboard").iterdir()
    events = EventAccumulator(str(file), {"images": 0, "scalars": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == set(results.metrics) and len(tags["images"]) == len(results.pictures)
    (one,) = events.Scalars("migc/isr")
    assert one.value == pytest.approx(results.metrics["migc/isr"])
    text = {name: events.Tensors(name)[0].tensor_proto.string_val[0].decode() for name in tags["tensors"]}
    assert '"limit": 25' in text["config/text_summary"] and "migc" in text["table 1/text_summary"]


def test_wandb_offline(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("wandb", "wandb")
    for name, value in (("MODE", "offline"), ("DIR", str(tmp_path)), ("SILENT", "true")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    results = results_of(*made)
    assert track("wandb", results) == "wandb: mine of amdm-bench"
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert folder.name.endswith(results.key)
    files = list((folder / "files" / "media" / "images" / "failures").glob("*.png"))
    assert len(files) == len(results.pictures)
    assert b"interactdiffusion/isr" in next(folder.glob("*.wandb")).read_bytes()


def test_trackio_keeps_them_here(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    needs("trackio", "trackio")
    results = results_of(*made)
    assert track("trackio", results) == "trackio: mine of amdm-bench"
    database = b"".join(path.read_bytes() for path in (tmp_path / "trackio").glob("*.db*"))
    assert b"interactdiffusion/isr" in database
    assert len(list((tmp_path / "trackio" / "media").rglob("*.png"))) == len(results.pictures)


def test_what_a_package_prints_is_not_on_stdout(
    made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def module(*_: object) -> SimpleNamespace:
        return SimpleNamespace(log=lambda package, results: print("show it with ...") or "there")

    monkeypatch.setattr("bench.track.registry.check_tracker", lambda name: None)
    monkeypatch.setattr("bench.track.registry.registered_module", module)
    monkeypatch.setattr("bench.track.registry.import_module", lambda name: None)
    assert track("trackio", results_of(*made)) == "there"
    assert capsys.readouterr() == ("", "show it with ...\n")
