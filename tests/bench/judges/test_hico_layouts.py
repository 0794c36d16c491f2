"""Interactions of layouts against recorded detections, on cases whose verdict is seen by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from bench.judges.hico_layouts import AskedPicture, LayoutDetections, is_verb
from bench.layouts.layout_set import Entry

CLASSES = [["ride", "dining_table"], ["hold", "dining_table"], ["hold", "cat"], ["no_interaction", "dining_table"]]
PERSON, TABLE = Instance("a person", (0.0, 0.0, 0.2, 0.2)), Instance("a red dining table", (0.5, 0.5, 0.7, 0.7))
HUMAN, THING = [0, 0, 19, 19], [50, 50, 69, 69]
"""The same in a picture of 100 × 100 pixels, the last one included."""


def picture(*actions: str) -> AskedPicture:
    asked = tuple(Interaction(PERSON, action, TABLE) for action in actions)
    return AskedPicture("p", (100, 100), Entry(0, "0", "", Layout("a person rides", (PERSON, TABLE), asked)))


def detections(folder: Path, found: list[dict[str, Any]], name: str = "p") -> LayoutDetections:
    path = folder / "found.json"
    path.write_text(json.dumps({"classes": CLASSES, "rare": [0], "images": {name: found}}))
    return LayoutDetections.read(path)


def triplet(kind: int, score: float, human: Any = HUMAN, thing: Any = THING) -> dict[str, Any]:
    return {"class": kind, "score": score, "human": human, "object": thing}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([triplet(0, 0.2)], ("Ride", "right", 0.2)),
        ([triplet(0, 0.5), triplet(1, 0.3)], ("Ride", "right", 0.2)),
        ([triplet(0, 0.3), triplet(1, 0.5)], ("hold", "other", 0.2)),
        ([triplet(2, 0.9)], (None, "none", 0.0)),  # another object
        ([triplet(0, 0.9, thing=[50, 50, 69, 59])], (None, "none", 0.0)),  # half of it: 0.5 is not more than 0.5
        ([triplet(0, 0.9, thing=[50, 50, 69, 60])], ("Ride", "right", 0.9)),  # 220 of 400 pixels
        ([triplet(0, 0.9, human=THING, thing=HUMAN)], (None, "none", 0.0)),
        ([triplet(1, 0.9, human=[60, 0, 79, 19]), triplet(0, 0.1)], ("Ride", "right", 0.1)),
        ([triplet(3, 0.9), triplet(0, 0.5)], (None, "none", 0.4)),  # nothing happens between the two
        ([triplet(3, 0.5), triplet(0, 0.9)], ("Ride", "right", 0.4)),
        ([], (None, "none", 0.0)),
    ],
)
def test_the_likeliest_verb_on_both_boxes_is_what_was_found(tmp_path: Path, found: Any, verdict: Any) -> None:
    ((given,),) = [one.values() for one in detections(tmp_path, found).judge([picture("Ride")])]
    assert given == pytest.approx(verdict)


def test_a_present_participle_is_judged_as_its_verb(tmp_path: Path) -> None:
    found = detections(tmp_path, [triplet(0, 0.9)])
    (verdicts,) = found.judge([picture("riding", "holding")])
    assert verdicts[0] == pytest.approx(("riding", "right", 0.9))
    assert verdicts[1] == pytest.approx(("ride", "other", 0.9))
    assert found.precision([picture("riding")]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("action", "verb", "same"),
    [
        ("lying on", "lie_on", True),
        ("cutting with", "cut_with", True),
        ("feeding", "feed", True),
        ("flying", "fly", True),
        ("drying", "dry", True),
        ("sitting", "sit_on", False),
        ("sit at", "sit_on", False),
        ("rides", "ride", False),
        ("", "ride", False),
    ],
)
def test_which_words_are_a_verb(action: str, verb: str, same: bool) -> None:
    assert is_verb(action, verb) is same


def test_what_is_of_no_class_gets_no_verdict(tmp_path: Path) -> None:
    found = detections(tmp_path, [triplet(0, 0.9)])
    (verdicts,) = found.judge([picture("eat", "ride")])
    assert list(verdicts) == [1] and verdicts[1].outcome == "right"
    assert found.precision([picture("eat")]) == (None, None)


def test_the_mean_average_precision_by_hand(tmp_path: Path) -> None:
    """Of ride: a mistake, then the one there is: precision ½ at every recall. Of hold: nothing right."""
    far = triplet(0, 0.9, human=[60, 0, 79, 19])
    found = detections(tmp_path, [far, triplet(0, 0.5)])
    assert found.precision([picture("ride")]) == pytest.approx((0.5, 0.5))
    assert found.precision([picture("ride", "hold")]) == pytest.approx((0.25, 0.25))


def test_no_interaction_may_be_what_is_asked_for(tmp_path: Path) -> None:
    (verdicts,) = detections(tmp_path, [triplet(3, 0.9)]).judge([picture("no interaction", "ride")])
    assert [one.outcome for one in verdicts.values()] == ["right", "none"]


def test_what_is_asked_for_twice_is_one_pair_of_the_mean(tmp_path: Path) -> None:
    """Two annotations would leave a recall of a half: 6/11."""
    found = detections(tmp_path, [triplet(0, 0.5)])
    for actions, verdicts in ((("ride", "ride"), 1), (("ride", "riding"), 2)):
        assert found.precision([picture(*actions)]) == (1.0, 1.0)
        assert [one.outcome for one in found.judge([picture(*actions)])[0].values()] == ["right"] * verdicts


def test_a_picture_that_the_detector_never_saw_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found\.json: images\.p: 1 pictures of the run are not there"):
        detections(tmp_path, [], name="q").judge([picture("ride")])
    with pytest.raises(InputError, match=r"found\.json: images\.p\[0\]\.class: must be an index of 4 classes"):
        detections(tmp_path, [triplet(7, 0.5)]).judge([picture("ride")])
