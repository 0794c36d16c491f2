"""COCO's annotations: what is odd is left out and counted, what cannot be is named by annotation, image and field."""

from __future__ import annotations

from typing import Any

import pytest

from amdm.errors import InputError, faults_of
from bench.layouts.sampling import prepare_images

BOX = [64, 48, 320, 240]


def captions(**image: Any) -> dict[str, Any]:
    images = [{"id": 1, "width": 640, "height": 480} | image, {"id": 2, "width": 640, "height": 480}]
    return {"images": images, "annotations": [{"id": k + 4, "image_id": k, "caption": "x"} for k in (1, 2)]}


def instances(**change: Any) -> dict[str, Any]:
    """One annotation of each of two images, the first changed; None takes a field away."""
    first = {"id": 7, "image_id": 1, "category_id": 3, "bbox": BOX, "iscrowd": 0} | change
    first = {name: value for name, value in first.items() if value is not None}
    second = {"id": 8, "image_id": 2, "category_id": 3, "bbox": BOX, "iscrowd": 1}
    return {"annotations": [first, second], "categories": [{"id": 3, "name": "cat"}]}


WHOLE = {"bbox": [0.1, 0.1, 0.6, 0.6], "label": "cat"}


def test_annotations_as_they_should_be() -> None:
    notes: list[str] = []
    images = prepare_images(captions(), instances(), notes)
    assert images["1"] == {"h": 480, "w": 640, "captions": ["x"], "segment": [WHOLE]} and notes == []
    assert images["2"]["segment"] == [WHOLE]  # crowds are kept, as in the official table


@pytest.mark.parametrize(
    ("bbox", "segment", "note"),
    [
        ([], [], "1 annotation without a box, left out"),
        (None, [], "1 annotation without a box, left out"),
        ([64, 48, 0, 240], [], "1 annotation with a box of no area, left out"),
        ([64, 48, 320, -1], [], "1 annotation with a box of no area, left out"),
        ([-1, 0, 0.5, 100], [], "1 annotation with a box outside its picture, left out"),
        ([320, 0, 320.0000001, 240], [[0.5, 0, 1, 0.5]], "1 annotation with a box that reached outside by up to a"),
        ([-1, -0.5, 321, 240.5], [[0, 0, 0.5, 0.5]], "1 annotation with a box that reached outside by up to a pixel"),
    ],
)
def test_odd_boxes_are_left_out_or_clipped_and_counted(bbox: Any, segment: list[Any], note: str) -> None:
    notes: list[str] = []
    images = prepare_images(captions(), instances(bbox=bbox), notes)
    assert [one["bbox"] for one in images["1"]["segment"]] == segment
    assert len(notes) == 1 and notes[0].startswith(note)
    assert images["2"]["segment"] == [WHOLE]


def test_ids_may_be_texts_and_unknown_ones_are_counted() -> None:
    notes: list[str] = []
    images = prepare_images(captions(), instances(image_id="b"), notes)
    assert images["1"]["segment"] == [] and notes == ["1 annotation of an image without captions, left out"]
    texts = captions(id="a")
    texts["annotations"][0]["image_id"] = "a"
    assert prepare_images(texts, instances(image_id="a"))["a"]["segment"] == [WHOLE]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [1, 2, 3]}, "annotation 7 of image 1.bbox: [1, 2, 3] is not [x, y, width, height] in pixels"),
        ({"bbox": [1, 2, 3, "4"]}, "annotation 7 of image 1.bbox: "),
        ({"bbox": [1, 2, 3, float("nan")]}, "annotation 7 of image 1.bbox: "),
        ({"bbox": [1, 2, True, 4]}, "annotation 7 of image 1.bbox: "),
        ({"bbox": {"x": 1}}, "annotation 7 of image 1.bbox: "),
        ({"bbox": [540, 10, 101.01, 200]}, "annotation 7 of image 1.bbox: [540, 10, 101.01, 200] reaches outside"),
        ({"category_id": 9}, "annotation 7 of image 1.category_id: 9 is not a category; there are: 3"),
        ({"category_id": None}, "annotation 7 of image 1.category_id: is missing"),
        ({"image_id": None}, "annotation 7.image_id: is missing"),
        ({"image_id": 1.5}, "annotation 7 of image 1.5.image_id: '1.5' is not an id"),
        ({"category_id": [3]}, "annotation 7 of image 1.category_id: '[3]' is not an id"),
        ({"id": None}, "annotations[0].id: is missing"),
        ({"id": 8}, "annotation 8 of image 2.id: stands twice: ids must be distinct"),
        ({"image_id": "1"}, "image_id 1: is '1' in one place and 1 in another; write it as an integer in both files"),
    ],
)
def test_what_cannot_be_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare_images(captions(), instances(**change))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (captions(width=0), "image 1.width: 0 is not a number of pixels"),
        (captions(height=None), "image 1.height: None is not a number of pixels"),
        (captions(width=10**400), "image 1.width: 1000000000"),
        (captions(id=4), "image 1: is annotated, and is not among the images"),
        (captions(id=2), "image 2.id: stands twice"),
        ({"annotations": [3]}, "annotations[0]: must be an object"),
        ({"annotations": [{"id": 1, "image_id": 1}]}, "annotation 1 of image 1.caption: is missing"),
        ({"annotations": {}}, "annotations: must be a list"),
        ({"images": []}, "annotations: is missing"),
    ],
)
def test_what_is_wrong_with_captions_and_images_is_named(texts: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare_images(texts, instances())
    assert str(caught.value).startswith(message)


def test_all_faults_are_named_at_once() -> None:
    bad = instances(bbox=[1])
    bad["annotations"][1]["bbox"] = "none"
    with pytest.raises(InputError) as caught:
        prepare_images(captions(), bad)
    assert [one.field for one in faults_of(caught.value)] == [
        "annotation 7 of image 1.bbox",
        "annotation 8 of image 2.bbox",
    ]
