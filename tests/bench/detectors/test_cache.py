"""The cache of detections: same verdicts, no detector where all is known, nothing taken from other circumstances."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cocomig.verdict import Masks
from bench.detectors.cache import CachedDetector, _mac, _secret
from bench.detectors.detector import DetectionResult, DetectorFacts, Prompt
from bench.stages.verdicts import Judged, Picture, judge_images
from tests.bench.fakes import BlobDetector, paint, small_set
from tests.bench.io.test_sqlite_safety import trap

FACTS = DetectorFacts(name="blobs", revision="1", thresholds={"box": 0.25})
SET = small_set(5)
PICTURES = [Picture("first", 0, entry, Path()) for entry in SET.entries]
IMAGES = list(paint("first", [e.layout for e in SET.entries], [str(e.index) for e in SET.entries]).images)


class CountingDetector(BlobDetector):
    """Counts pictures looked at and masks made; the masks are three, the second of the largest score."""

    looks = 0
    asked: list[int]

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        type(self).looks += len(images)
        return [DetectionResult(one.detections, self._counted(one.segment)) for one in super().find(images, categories)]

    def _counted(self, segment: Callable[[Sequence[Prompt]], list[Masks]]) -> Callable[[Sequence[Prompt]], list[Masks]]:
        def counted(prompts: Sequence[Prompt]) -> list[Masks]:
            type(self).asked.append(len(prompts))
            one = [masks.masks[0] for masks in segment(prompts)]
            return [Masks(np.stack([~m, m, ~m]), np.array([0.1, 0.7, 0.3], np.float32)) for m in one]

        return counted


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    CountingDetector.looks, CountingDetector.asked = 0, []


def never() -> Any:
    raise AssertionError("the detector was built although every answer was known")


def verdicts(path: Path, facts: DetectorFacts, factory: Callable[[], Any] = CountingDetector) -> list[list[Judged]]:
    return judge_images(CachedDetector(path, facts, None, factory), IMAGES, PICTURES)


def test_judging_again_builds_no_detector_and_says_the_same(tmp_path: Path) -> None:
    plain = judge_images(CountingDetector(), IMAGES, PICTURES)
    outcomes = [one.verdict for own in plain for one in own]
    assert any(one.attr for one in outcomes) and any(one.failure == "wrong_place" for one in outcomes)
    assert verdicts(tmp_path / "c", FACTS) == plain
    assert verdicts(tmp_path / "c", FACTS, never) == plain


def test_masks_of_a_picture_are_asked_at_once_and_only_where_the_place_is_right(tmp_path: Path) -> None:
    found = verdicts(tmp_path / "c", FACTS)
    assert CountingDetector.looks == len(IMAGES)
    assert CountingDetector.asked == [count for own in found if (count := sum(v.verdict.success for v in own))]


@pytest.mark.parametrize(
    "changed", [{"revision": "2"}, {"thresholds": {"box": 0.3}}, {"dtype": "bfloat16"}, {"name": "other"}]
)
def test_other_circumstances_are_judged_anew(tmp_path: Path, changed: dict[str, Any]) -> None:
    verdicts(tmp_path / "c", FACTS)
    verdicts(tmp_path / "c", FACTS.model_copy(update=changed))
    assert CountingDetector.looks == 2 * len(IMAGES)


def test_another_picture_or_prompt_is_another_question(tmp_path: Path) -> None:
    cached = CachedDetector(tmp_path / "c", FACTS, None, CountingDetector)
    (found,) = cached.find(IMAGES[:1], [["circle"]])
    box = np.array([0.0, 0.0, 9.0, 9.0])
    (first,) = found.segment([Prompt("circle", box, 0)])
    found.segment([Prompt("circle", box + 0.5, 0), Prompt("circle", box, 1), Prompt("circle", box, 0)])
    assert CountingDetector.asked == [1, 2]
    np.testing.assert_array_equal(found.segment([Prompt("circle", box, 0)])[0].masks, first.masks)
    changed = IMAGES[0].copy()
    changed[0, 0, 0] ^= 1
    cached.find([changed], [["circle"]])
    assert CountingDetector.looks == 2


@pytest.mark.parametrize("answer", ["{}", "[[[1, 2, 3, 4]], []]", "null", "[", '{"size": [64, 64], "counts": ["j0"]}'])
def test_a_damaged_answer_is_computed_again(tmp_path: Path, answer: str) -> None:
    expected = verdicts(tmp_path / "c", FACTS)
    with sqlite3.connect(tmp_path / "c") as database:
        database.execute("UPDATE answers SET answer = ?", (answer,))
    assert verdicts(tmp_path / "c", FACTS) == expected
    assert CountingDetector.looks > len(IMAGES)
    assert verdicts(tmp_path / "c", FACTS, never) == expected


ENDLESS = """DROP TABLE answers;
CREATE VIEW answers AS WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n) SELECT k AS key, k AS answer,
k AS sha256 FROM n"""
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END"


def test_a_damaged_cache_is_begun_anew(tmp_path: Path) -> None:
    expected = verdicts(tmp_path / "c", FACTS)
    whole = (tmp_path / "c").read_bytes()
    for content in (b"not a database" * 100, whole[:-300], whole[:100] + b"\xff" * 4000 + whole[4100:]):
        (tmp_path / "c").write_bytes(content)
        (tmp_path / "c-journal").write_bytes(b"of another file")
        assert verdicts(tmp_path / "c", FACTS) == expected
        assert verdicts(tmp_path / "c", FACTS, never) == expected


@pytest.mark.parametrize("statements", [ENDLESS, TRIGGER, "CREATE TABLE other (a)"])
def test_a_cache_with_other_content_is_begun_anew(tmp_path: Path, statements: str) -> None:
    expected = verdicts(tmp_path / "c", FACTS)
    with sqlite3.connect(tmp_path / "c") as database:
        database.executescript(statements)
    assert verdicts(tmp_path / "c", FACTS) == expected
    with sqlite3.connect(tmp_path / "c") as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("answers",)]


def test_a_cache_that_is_damaged_while_it_is_used_is_begun_anew(tmp_path: Path) -> None:
    cached = CachedDetector(tmp_path / "c", FACTS, None, CountingDetector)
    expected = judge_images(cached, IMAGES, PICTURES)
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:5000])
    assert judge_images(cached, IMAGES, PICTURES) == expected


def test_a_full_disk_leaves_the_cache_as_it_is(tmp_path: Path) -> None:
    verdicts(tmp_path / "c", FACTS)
    before = (tmp_path / "c").read_bytes()

    def full(_: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with pytest.raises(sqlite3.OperationalError, match="full"):
        CachedDetector(tmp_path / "c", FACTS, None, never)._use(full)
    assert (tmp_path / "c").read_bytes() == before


def test_what_another_machine_wrote_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = verdicts(tmp_path / "c", FACTS)
    nothing = json.dumps([[], []])
    monkeypatch.setattr("bench.detectors.cache._secret", lambda: b"of another machine")
    with sqlite3.connect(tmp_path / "c") as database:
        for (key,) in database.execute("SELECT key FROM answers").fetchall():
            database.execute("UPDATE answers SET answer = ?, mac = ? WHERE key = ?", (nothing, _mac(key, nothing), key))
    assert verdicts(tmp_path / "c", FACTS, never)[0][0].verdict.detected is False  # there it is believed
    monkeypatch.undo()
    assert verdicts(tmp_path / "c", FACTS) == expected


def test_an_answer_is_believed_under_its_own_question_alone(tmp_path: Path) -> None:
    expected = verdicts(tmp_path / "c", FACTS)
    with sqlite3.connect(tmp_path / "c") as database:
        rows = database.execute("SELECT key, answer, mac FROM answers ORDER BY key").fetchall()
        for (key, _, _), (_, answer, mac) in zip(rows, rows[1:] + rows[:1], strict=True):
            database.execute("UPDATE answers SET answer = ?, mac = ? WHERE key = ?", (answer, mac, key))
    assert verdicts(tmp_path / "c", FACTS) == expected


def test_without_a_home_the_secret_is_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert len(_secret.__wrapped__()) == 32


@pytest.mark.parametrize("kept", [True, False])
def test_the_secret_is_kept_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    if not kept:
        (tmp_path / "amdm").touch()  # no folder can be made there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = [_secret.__wrapped__() for _ in range(2)]
    assert len(found[0]) == 32 and (found[0] == found[1]) is kept
    assert not kept or (tmp_path / "amdm" / "detections.key").stat().st_mode & 0o077 == 0


def test_several_writers_share_one_cache(tmp_path: Path) -> None:
    expected = judge_images(CountingDetector(), IMAGES, PICTURES)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: verdicts(tmp_path / "c", FACTS), range(12)))
    assert found == [expected] * 12


def test_a_cache_with_a_trap_beside_it_is_begun_anew(tmp_path: Path) -> None:
    path, victim = tmp_path / "cache.sqlite", tmp_path / "thesis.txt"
    expected = verdicts(path, FACTS)
    victim.write_text("mine")
    trap(path, victim)
    assert verdicts(path, FACTS) == expected and victim.read_text() == "mine"
    os.mkfifo(tmp_path / "cache.sqlite-journal")
    assert verdicts(path, FACTS) == expected and not (tmp_path / "cache.sqlite-journal").exists()
