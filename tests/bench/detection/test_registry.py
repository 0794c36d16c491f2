"""Detectors by name: what is recorded of them, what is refused, and `score --detector` on a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.detection.detector import Detector
from bench.detection.mini_judge import MiniJudge
from bench.detection.registry import DetectorOptions, detector_facts, load_detector, name_of
from bench.job import score_run
from bench.reporting import write_report
from bench.store import read_table
from bench.verify import verify_run
from tests.bench.conftest import JobRunner
from tests.bench.fakes import BlobDetector


def test_the_mini_judge_by_name() -> None:
    judge = load_detector("mini")
    facts = detector_facts(DetectorOptions())
    assert isinstance(judge, MiniJudge) and facts["revision"] == judge.revision
    assert facts == {
        "name": "mini-judge",
        "revision": judge.revision,
        "thresholds": {"score": judge.model.roi_heads.score_thresh},
        "dtype": "float32",
    }
    assert [name_of(label) for label in ("mini-judge", "grounded-sam", "yolo")] == ["mini", "grounded-sam", "yolo"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "other"}, "detector: unknown detector 'other'; there are: mini, grounded-sam, yolo"),
        ({"name": "mini", "random_weights": True}, "random-weights: the detector mini has none"),
        ({"name": "yolo", "dtype": "float16"}, "dtype: 'float16' is none of float32"),
        ({"name": "mini", "device": "cuda"}, "device: the mini judge runs on the CPU"),
        ({"name": "grounded-sam", "random_weights": True, "device": "nowhere"}, "device: 'nowhere' is no device"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        load_detector(**arguments)
    assert str(raised.value).startswith(message)


def test_random_weights_are_marked_everywhere(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run = run_fake_job()
    options = DetectorOptions("grounded-sam", random_weights=True)
    with pytest.raises(InputError, match=r"verdicts are of mini-judge blobs, not of grounded-sam.*--again drops them"):
        score_run(run, 1, detector=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.detection.registry.detector_revision", lambda options, rehash=False: "random weights")
        score_run(run, 1, again=True, detector=options)
        judge = json.loads((run / "run.json").read_text())["judge"]
        assert judge["name"] == "grounded-sam" and judge["revision"] == "random weights"
        assert "grounded-sam with random weights, which measures nothing" in write_report(run, tmp_path / "report")
        assert "judge: has random weights: the verdicts measure nothing" in verify_run(run)


def test_scoring_again_builds_no_detector(run_fake_job: JobRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_fake_job()
    before = read_table(run, "verdicts")

    def never(options: DetectorOptions) -> Detector:
        raise AssertionError("the detector was built")

    monkeypatch.setattr("bench.factories.make_judge", never)
    assert score_run(run, 1, again=True) == (75, 0)
    assert read_table(run, "verdicts").equals(before)
    monkeypatch.setattr("bench.factories.make_judge", lambda options: BlobDetector())
    (run / "detections.sqlite").unlink()
    assert score_run(run, 1, again=True) == (75, 0)
    assert read_table(run, "verdicts").equals(before)
