"""Detectors by name: what is recorded of them, what is refused, and `score --detector` on a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench import evaluate
from bench.benchmark import score_run
from bench.detectors.detector import Detector, DetectorOptions
from bench.detectors.mini import MiniDetector
from bench.detectors.registry import (
    DETECTORS,
    check_words,
    detector_facts,
    detector_for_label,
    detector_spec,
    load_detector,
)
from bench.layouts.named import load_layouts
from bench.report.write import write_report
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.verify import verify_run
from tests.bench.conftest import JobRunner
from tests.bench.fakes import BlobDetector, paint


def test_the_mini_judge_by_name() -> None:
    judge = load_detector("mini")
    facts = detector_facts(DetectorOptions())
    assert isinstance(judge, MiniDetector) and facts.revision == judge.revision
    assert facts.model_dump() == {
        "name": "mini-judge",
        "revision": judge.revision,
        "thresholds": {"score": judge.model.roi_heads.score_thresh},
        "dtype": "float32",
    }
    assert facts.thresholds["score"] == detector_spec("grounded-sam").thresholds["box"] == 0.25  # the official one
    assert [detector_for_label(label) for label in ("mini-judge", "grounded-sam", "yolo")] == [
        "mini",
        "grounded-sam",
        "yolo",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "other"}, "detector: unknown detector 'other'; there are: mini, grounded-sam, yolo"),
        ({"name": "mini", "random_weights": True}, "random-weights: the detector mini has none"),
        (
            {"name": "yolo", "dtype": "float16"},
            "dtype: unknown dtype of the detector yolo 'float16'; did you mean float32? there are: float32",
        ),
        ({"name": "mini", "device": "cuda"}, "device: the mini judge runs on the CPU"),
        ({"name": "grounded-sam", "random_weights": True, "device": "nowhere"}, "device: 'nowhere' is not a device"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        load_detector(**arguments)
    assert str(raised.value).startswith(message)


def test_a_category_that_the_judge_lacks_is_named_with_what_it_may_mean(tmp_path: Path) -> None:
    segment = [{"label": label, "bbox": [0.1, 0.1, 0.5, 0.5]} for label in ("a red rign", "A Blue Arch", "a red cat")]
    (tmp_path / "own.json").write_text(json.dumps({"0": {"caption": "c", "segment": segment}}))
    with pytest.raises(InputError) as raised:
        check_words("mini", load_layouts(tmp_path / "own.json"))
    assert "does not know 'Arch' (did you mean arch?), 'cat', 'rign' (did you mean ring?) of own" in str(raised.value)


def test_random_weights_are_marked_everywhere(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run = run_fake_job()
    options = DetectorOptions("grounded-sam", random_weights=True)
    with pytest.raises(InputError, match=r"verdicts are of mini-judge blobs, not of grounded-sam.*--again drops them"):
        score_run(run, 1, detector=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.detectors.registry.detector_revision", lambda options, rehash=False: "random weights")
        score_run(run, 1, again=True, detector=options)
        found = RunInfo.read(run).settings.judge
        assert found.name == "grounded-sam" and found.revision == "random weights"
        assert "grounded-sam with random weights, which measures nothing" in write_report(run, tmp_path / "report")
        assert "detector: has random weights: the verdicts measure nothing" in verify_run(run)


def test_scoring_again_builds_no_detector(run_fake_job: JobRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_fake_job()
    before = read_table(run, "verdicts")

    def never(options: DetectorOptions) -> Detector:
        raise AssertionError("the detector was built")

    monkeypatch.setattr("bench.detectors.load.make_detector", never)
    assert score_run(run, 1, again=True) == (75, 0)
    assert read_table(run, "verdicts").equals(before)
    monkeypatch.setattr("bench.detectors.load.make_detector", lambda options: BlobDetector())
    (run / "detections.sqlite").unlink()
    assert score_run(run, 1, again=True) == (75, 0)
    assert read_table(run, "verdicts").equals(before)


def test_a_new_detector_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DETECTORS, "toy", "tests.toys.detector")
    result = evaluate(
        lambda layouts, seeds: list(paint("exact", layouts, ["k"] * len(layouts)).images),
        limit=5,
        detector="toy",
        out=tmp_path / "run",
    )
    facts = RunInfo.read(result.folder).settings.judge
    assert facts.model_dump() == {"name": "toy", "revision": "1", "thresholds": {"score": 0.125}, "dtype": "float32"}
    assert verify_run(result.folder) == []
    monkeypatch.setattr("tests.toys.detector.SPEC", replace(detector_spec("toy"), thresholds={}))
    assert verify_run(result.folder) == ["run.json: thresholds are not those of this version"]
