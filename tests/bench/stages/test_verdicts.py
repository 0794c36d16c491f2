from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from amdm.errors import InputError
from bench.benchmark import run_benchmark, score_run
from bench.defaults import images_job
from bench.detectors.detector import DetectionResult
from bench.import_images import score_images
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.layouts.named import load_layouts
from bench.report.write import write_report
from bench.run.images import read_image
from bench.run.info import RunInfo
from bench.run.read import read_table
from tests.amdm.io.test_images import png
from tests.bench.conftest import JobRunner
from tests.bench.fakes import BlobDetector

Raise = Callable[[Sequence[np.ndarray]], None]


class Troubled(BlobDetector):
    """Asks ``trouble`` before it answers; counts how often it is asked."""

    def __init__(self, trouble: Raise) -> None:
        super().__init__()
        self.trouble, self.asked = trouble, list[int]()

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """See bench.detectors.detector.Detector."""
        self.asked.append(len(images))
        self.trouble(images)
        return super().find(images, categories)


@pytest.fixture
def folder(run_fake_job: JobRunner) -> Path:
    return run_fake_job(limit=10)


def judged_by(monkeypatch: pytest.MonkeyPatch, trouble: Raise) -> Troubled:
    detector = Troubled(trouble)
    monkeypatch.setattr("bench.detectors.load.CachedSource.__call__", lambda _: detector)
    return detector


def test_out_of_memory_halves_the_judges_batch_and_is_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def little(images: Sequence[np.ndarray]) -> None:
        if len(images) > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    before = read_table(folder, "verdicts")
    detector = judged_by(monkeypatch, little)
    assert score_run(folder, 1, again=True) == (30, 0)
    assert detector.asked[:3] == [10, 5, 3]
    pd.testing.assert_frame_equal(read_table(folder, "verdicts"), before)
    events = read_table(folder, "events").what.tolist()
    assert any(what.startswith("judge: 10 pictures") and "out of memory" in what for what in events)
    assert "judge: 5 pictures" in capsys.readouterr().err


def test_a_picture_that_the_judge_fails_on_is_missing_and_tried_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_table(folder, "verdicts")
    lost: list[bytes] = []

    def one_breaks(images: Sequence[np.ndarray]) -> None:
        lost[:] = lost or [images[0].tobytes()]
        if any(image.tobytes() == lost[0] for image in images):
            raise ValueError("broken")

    detector = judged_by(monkeypatch, one_breaks)
    judged, failed = score_run(folder, 1, again=True)
    assert (judged, failed) == (28, 2)  # two methods painted it the same
    assert detector.asked[:4] == [10, 1, 1, 1]  # the batch, then the first picture three times
    assert "ceiling: 9 of 10 images were judged" in write_report(folder, tmp_path / "report")
    assert any("ValueError: broken" in what for what in read_table(folder, "events").what)
    judged_by(monkeypatch, lambda _: None)
    assert score_run(folder, 1) == (30, 0)
    pd.testing.assert_frame_equal(read_table(folder, "verdicts"), before)


def test_judging_again_goes_on_where_it_was_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_table(folder, "verdicts")

    def second_batch(_: Sequence[np.ndarray]) -> None:
        if len(detector.asked) == 2:
            raise OSError(28, "No space left")

    detector = judged_by(monkeypatch, second_batch)
    with pytest.raises(OSError, match="No space"):
        score_run(folder, 1, again=True)
    assert 0 < len(read_table(folder, "verdicts")) < len(before)
    detector = judged_by(monkeypatch, lambda _: None)
    assert score_run(folder, 1, again=True) == (30, 0)
    assert detector.asked == [10, 10]  # the first method's stay
    pd.testing.assert_frame_equal(read_table(folder, "verdicts"), before)
    assert score_run(folder, 1, again=True) == (30, 0)
    assert detector.asked == [10] * 5  # and now from the start


def test_a_picture_of_the_wrong_size_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = load_layouts("mini")
    (tmp_path / "pictures").mkdir()
    for k, entry in enumerate(layouts.entries[:10]):
        side = 32 if k == 3 else 64
        Image.new("RGB", (side, side), "grey").save(tmp_path / "pictures" / f"x_{entry.key}.png")
    plan, out = Plan.resolve(images_job("mini", "theirs")), tmp_path / "run"
    _, _, failed = score_images(tmp_path / "pictures", plan, out=out, reports=tmp_path / "reports")
    assert failed == 1 and read_table(out, "verdicts").layout_index.nunique() == 9
    assert any("the mini judge takes 64×64" in what for what in read_table(out, "events").what)


def test_a_huge_picture_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png(22_000, 22_000, b""))
    with pytest.raises(InputError, match=r"bomb\.png: has a side of more than 8192 pixels"):
        read_image(tmp_path / "bomb.png")
    Image.new("1", (5000, 5000)).save(tmp_path / "large.png")
    with pytest.raises(InputError, match=r"large\.png: has more than 16,777,216 pixels"):
        read_image(tmp_path / "large.png")


def test_out_of_memory_is_no_fault_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Image.Image) -> Image.Image:
        raise MemoryError

    monkeypatch.setattr("amdm.io.images.to_rgb", full)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(MemoryError, match="out of memory"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("error", [InputError("is absent", file=Path("weights")), OSError(28, "No space left")])
def test_what_is_not_the_pictures_fault_stops_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def stop(_: Sequence[np.ndarray]) -> None:
        raise error

    detector = judged_by(monkeypatch, stop)
    with pytest.raises(type(error)):
        score_run(folder, 1, again=True)
    assert detector.asked == [10]


def test_a_job_whose_judge_fails_on_a_picture_ends_so_and_the_same_job_tries_again(
    fake_networks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("mini", "mini", ("migc",), (0,), 8, 5)

    def broken(images: Sequence[np.ndarray]) -> None:
        if len(images) > 1 or images[0].std() % 1 <= 0.5:  # as good as half of them
            raise ValueError("broken")

    def run() -> tuple[Path, int]:
        return run_benchmark(Plan.resolve(job), tmp_path / "run", tmp_path / "reports", workers=1)

    judged_by(monkeypatch, broken)
    folder, failures = run()
    assert 0 < failures < 10 and RunInfo.read(folder).status == "failed samples"
    judged_by(monkeypatch, lambda _: None)
    assert run()[1] == 0 and RunInfo.read(folder).status == "complete"


def test_a_picture_that_was_replaced_is_not_judged(run_fake_job: JobRunner) -> None:
    folder = run_fake_job()
    (first, second) = sorted((folder / "images" / "migc").iterdir())[:2]
    shutil.copyfile(second, first)
    with pytest.raises(InputError, match=f"{first.name}: is not the picture that was recorded"):
        score_run(folder, 1, again=True)


def test_what_each_verdict_was_given_on_is_recorded(folder: Path) -> None:
    verdicts, findings = read_table(folder, "verdicts"), read_table(folder, "findings")
    keys = ["method", "layout_index", "seed", "instance"]
    both = verdicts.merge(findings, on=keys, validate="one_to_one")
    assert len(both) == len(verdicts) and set(both.success & both.attr) == {0, 1}
    assert (both.x1.notna() == both.detected.astype(bool)).all()
    assert (both.found_colour.notna() == both.success.astype(bool)).all()
    right = both[both.attr == 1]
    assert (right.found_colour == right.colour).all() and np.allclose(right.found_share, right.hit_px / right.mask_px)
