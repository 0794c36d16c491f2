"""HICO-DET's mean average precision on cases whose value is computed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from amdm.errors import InputError
from bench.cli.main import app
from bench.judges.hico import Annotations, RecordedDetections, average_precision, iou, means
from bench.judges.registry import JUDGES, judge_spec

CLASSES = [["ride", "bicycle"], ["hold", "bicycle"], ["ride", "horse"], ["wash", "bicycle"]]
PERSON, THING = [0, 0, 9, 9], [100, 100, 109, 109]


def triplet(kind: int, score: float | None = None, human: Any = PERSON, thing: Any = THING) -> dict[str, Any]:
    made: dict[str, Any] = {"human": human, "object": thing, "class": kind}
    return made if score is None else {**made, "score": score}


TRUTH = {"a": [triplet(0)], "b": [triplet(0), triplet(1)], "c": [triplet(2)]}
FOUND = {
    # In a: right; the same pair again, its person three pixels aside: IoU 70/130, no repetition (0.54·1), but taken.
    "a": [triplet(0, 0.9), triplet(0, 0.8, human=[3, 0, 12, 9])],
    # In b: the second is right; an object of half the area has IoU 0.5, which is not more than 0.5.
    "b": [triplet(1, 0.95, thing=[100, 100, 109, 104]), triplet(0, 0.7)],
    # In c there is no bicycle: of "known object" this is no mistake.
    "c": [triplet(0, 0.85), triplet(2, 0.3)],
}


def files(folder: Path, truth: Any = TRUTH, found: Any = FOUND, classes: Any = CLASSES) -> tuple[Path, Path]:
    """DETECTIONS, ANNOTATIONS; class 1 is rare."""
    paths = folder / "found.json", folder / "truth.json"
    paths[0].write_text(json.dumps({"images": found}))
    paths[1].write_text(json.dumps({"classes": classes, "rare": [1], "images": truth}))
    return paths


def scored(folder: Path, **content: Any) -> Any:
    detections, annotations = files(folder, **content)
    return RecordedDetections.read(detections).score(Annotations.read(annotations))


def test_the_value_by_hand(tmp_path: Path) -> None:
    """Of class 0, default: right, wrong, wrong, right at recalls ½, ½, ½, 1 and precisions 1, ½, ⅓, ½: six points of
    recall (0 … 0.5) have 1, five have ½. Known object: right, wrong, right, the last precision being ⅔."""
    table = scored(tmp_path)
    assert table.default.tolist()[:3] == pytest.approx([(6 + 5 / 2) / 11, 0, 1]) and np.isnan(table.default[3])
    assert table.known_object.tolist()[:3] == pytest.approx([(6 + 5 * 2 / 3) / 11, 0, 1])
    assert table.instances.tolist() == [2, 1, 1, 0] and table.rare.tolist() == [False, True, False, False]
    default, known = means(table).to_dict("records")
    first, second = (6 + 5 / 2) / 11, (6 + 5 * 2 / 3) / 11
    assert [default[name] for name in ("full", "rare", "non_rare")] == pytest.approx(
        [100 * (first + 1) / 3, 0, 50 * (first + 1)]
    )
    assert [known[name] for name in ("full", "rare", "non_rare")] == pytest.approx(
        [100 * (second + 1) / 3, 0, 50 * (second + 1)]
    )
    assert default["classes"] == known["classes"] == 3  # nothing is annotated of the fourth: it is in no mean


def test_a_repetition_does_not_count(tmp_path: Path) -> None:
    """With it the second right one would stand third: (6 + 5·⅔)/11 in place of 1."""
    truth = {"a": [triplet(0), triplet(0, human=[50, 0, 59, 9])], "b": [], "c": []}
    again = [triplet(0, 0.9), triplet(0, 0.8), triplet(0, 0.7, human=[50, 0, 59, 9])]
    table = scored(tmp_path, truth=truth, found={"a": again, "b": [], "c": []})
    assert table.default[0] == pytest.approx(1)


@pytest.mark.parametrize(("likelier", "value"), [(99, 0.01), (100, 0.0)])
def test_of_a_picture_a_hundred_triplets_count(tmp_path: Path, likelier: int, value: float) -> None:
    wrong = [triplet(0, 0.9, human=[200 + 20 * k, 0, 209 + 20 * k, 9]) for k in range(likelier)]
    table = scored(tmp_path, truth={"a": [triplet(0)]}, found={"a": [*wrong, triplet(0, 0.1)]})
    assert table.default[0] == pytest.approx(value)


@pytest.mark.parametrize(("likelier", "value"), [(99, 0.5), (100, 0.0)])
def test_repetitions_are_among_the_hundred(tmp_path: Path, likelier: int, value: float) -> None:
    wrong = [triplet(0, 0.9, human=[200, 0, 209, 9])] * likelier
    table = scored(tmp_path, truth={"a": [triplet(0)]}, found={"a": [*wrong, triplet(0, 0.1)]})
    assert table.default[0] == pytest.approx(value)


def test_an_object_aside_is_a_repetition_sooner_than_a_person(tmp_path: Path) -> None:
    """Three pixels aside is IoU 7/13: √(7/13) is more than 0.7, 7/13 is not. What is no repetition is a mistake."""
    aside, other = [103, 100, 112, 109], triplet(0, 0.7, human=[50, 0, 59, 9])
    truth = {"a": [triplet(0), triplet(0, human=[50, 0, 59, 9])]}
    for again, value in (
        (triplet(0, 0.8, thing=aside), 1.0),
        (triplet(0, 0.8, human=[3, 0, 12, 9]), (6 + 10 / 3) / 11),
    ):
        table = scored(tmp_path, truth=truth, found={"a": [triplet(0, 0.9), again, other]})
        assert table.default[0] == pytest.approx(value)


def test_both_boxes_must_overlap_the_same_pair(tmp_path: Path) -> None:
    other_person, other_thing = [50, 0, 59, 9], [150, 100, 159, 109]
    truth = {"a": [triplet(0), triplet(0, None, other_person, other_thing)]}
    table = scored(tmp_path, truth=truth, found={"a": [triplet(0, 0.9, PERSON, other_thing)]})
    assert table.default[0] == 0


def test_points_of_recall_are_exact() -> None:
    """Three of ten reach a recall of 0.3, which in sums of 0.1 is a little more."""
    assert average_precision(np.ones(3, bool), 10) == pytest.approx(4 / 11)
    assert average_precision(np.zeros(0, bool), 2) == 0
    assert iou(np.array([0, 0, 0, 0]), np.array([[0, 0, 0, 0], [1, 0, 1, 0]])).tolist() == [1, 0]  # one pixel


def test_the_command_is_the_registrys_judge(tmp_path: Path) -> None:
    detections, annotations = files(tmp_path)
    to = tmp_path / "classes.csv"
    answer = CliRunner().invoke(app, ["hico-map", str(detections), str(annotations), "--to", str(to)])
    as_json = CliRunner().invoke(app, ["hico-map", str(detections), str(annotations), "--json"])
    rows = json.loads(as_json.stdout)["rows"]
    assert rows[0]["setting"] == "default" and 0 < rows[0]["full"] <= 1
    assert answer.exit_code == 0 and "59.09" in answer.output and "61.62" in answer.output, answer.output
    assert to.read_text().splitlines()[0] == "verb,object,rare,instances,default,known_object"
    specs = [judge_spec(name) for name in JUDGES]
    assert {(one.of, one.mini) for one in specs} == {(of, mini) for of in ("action", "style") for mini in (True, False)}
    with pytest.raises(InputError, match="unknown judge 'hiko'; did you mean hico"):
        judge_spec("hiko")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"found": {"a": [], "b": []}}, r"found\.json: images\.c: 1 annotated pictures are not there"),
        ({"found": {**FOUND, "d": []}}, r"found\.json: images\.d: 1 pictures are not annotated"),
        ({"found": {**FOUND, "a": [triplet(0)]}}, r"images\.a\[0\]: must have the fields class, human, object, score"),
        ({"found": {**FOUND, "a": [triplet(4, 0.5)]}}, r"images\.a\[0\]\.class: must be an index of 4 classes"),
        ({"found": {**FOUND, "a": [triplet(0, float("nan"))]}}, "NaN|must be a finite number"),
        ({"found": {**FOUND, "a": [triplet(0, 0.5, human=[5, 0, 4, 1])]}}, r"\[0\]\.human: ends before it begins"),
        ({"truth": {**TRUTH, "a": [triplet(0, None, [0, 0, 1])]}}, r"truth\.json: images\.a\[0\]\.human: must be \[x1"),
        ({"found": {**FOUND, "a": [triplet(0, 10**400)]}}, r"images\.a\[0\]\.score: must be a finite number"),
        ({"truth": {**TRUTH, "a": [triplet(0, None, [0, 0, 10**400, 1])]}}, r"\[0\]\.human: must be a finite number"),
        ({"classes": [["ride", "bicycle"]] * 4}, "classes: has one pair twice"),
        ({"classes": [*CLASSES[:3], ["\ud800", "cat"]]}, r"classes\[3\]: holds half of a surrogate pair"),
        ({"classes": [["ride", 3]] * 4}, r"classes\[0\]: must be \[verb, object\]"),
        ({"classes": [["a", str(k)] for k in range(601)]}, "classes: must be a list of 1 to 600 pairs"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        scored(tmp_path, **change)
    assert "\n" not in str(found.value)


def test_a_picture_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Else the triplets of the first would be lost in silence."""
    detections, _ = files(tmp_path)
    detections.write_text('{"images": {"a": [], "b": [], "c": [], "a": []}}')
    with pytest.raises(InputError, match=r"found\.json: a: duplicate key"):
        RecordedDetections.read(detections)
    detections.write_text("[1]")
    with pytest.raises(InputError, match=r"found\.json: must be one object with the fields images, and no others"):
        RecordedDetections.read(detections)


def test_of_two_pairs_the_better_one_is_taken(tmp_path: Path) -> None:
    """The likelier overlaps both, the second more; the other is then left for the pair that it lies on."""
    shifted = [3, 0, 12, 9]
    truth = {"a": [triplet(0), triplet(0, None, shifted)]}
    found = {"a": [triplet(0, 0.9, [2, 0, 11, 9]), triplet(0, 0.5, [-2, 0, 7, 9])]}
    table = scored(tmp_path, truth=truth, found=found)
    assert table.default[0] == pytest.approx(1)
    both_on_one = {"a": [triplet(0, 0.9, shifted), triplet(0, 0.5, [5, 0, 14, 9])]}
    assert scored(tmp_path, truth=truth, found=both_on_one).default[0] == pytest.approx(6 / 11)
