"""COCO's annotation files, checked: what is wrong is named by annotation, image and field."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from typing import Any

from pycocotools.coco import COCO as Annotations

from amdm.errors import Faults, InputError, instead

MAX_ANNOTATIONS_BYTES = 512 * 2**20
"""Bytes; COCO's captions and instances have less."""

WITHIN = 1.0
"""A box that reaches outside its picture by no more than this, in pixels, is clipped."""


ID = (int, str)
"""COCO's ids are integers; other tools write texts."""
_KINDS = {str: "a text", ID: "an id (an integer or a text)"}


def indexed(dataset: dict[str, Any], fields: dict[str, Any], faults: Faults | None = None) -> Annotations:
    """pycocotools' index of an annotation file.

    Args:
        dataset: the parsed file.
        fields: what each annotation must have besides ``id`` and ``image_id``, and its type.
        faults: takes the faults of annotations, images and categories, which are left out of the index then.

    Raises:
        InputError: no such lists. Without ``faults`` naming each annotation (with its id and image), image or category
            that lacks a field, or has the id of another, too.
    """
    own_faults, sound = Faults() if faults is None else faults, dict[str, list[Any]]()
    for name, own in (("images", {}), ("categories", {"name": str}), ("annotations", {"image_id": ID, **fields})):
        items, sound[name] = dataset.get(name, []), []
        if not isinstance(items, list):
            raise InputError("must be a list", field=name)
        seen = set()
        for k, item in enumerate(items):
            with own_faults.at(_place(name, k, item)):
                _check(item, {"id": ID, **own})
                if item["id"] in seen:
                    raise InputError("stands twice: ids must be distinct", field="id")
                seen.add(item["id"])
                sound[name].append(item)
    if "annotations" not in dataset:
        raise InputError("is missing: these are no COCO annotations", field="annotations")
    if faults is None:
        own_faults.check()
    found = Annotations()
    found.dataset = {**dataset, **{name: items for name, items in sound.items() if name in dataset}}
    with contextlib.redirect_stdout(io.StringIO()):  # createIndex reports its progress there
        found.createIndex()
    return found


def check_one_kind(texts: Annotations, objects: Annotations) -> None:
    """Raise InputError where one image has an integer as its id in one place and a text in another."""
    known = {str(image_id): image_id for image_id in texts.imgToAnns}
    for image_id in (*texts.imgToAnns, *objects.imgToAnns):
        other = known.get(str(image_id), image_id)
        if type(other) is not type(image_id):
            what = f"is {image_id!r} in one place and {other!r} in another; write it as an integer in both files"
            raise InputError(what, field=f"image_id {image_id}")


def picture_size(image_id: int | str, texts: Annotations) -> tuple[float, float]:
    """(width, height) in pixels of an image of the captions' file. Raises InputError where it has none."""
    if image_id not in texts.imgs:
        raise InputError("is annotated, and is not among the images", field=f"image {image_id}")
    size = []
    for name in ("width", "height"):
        value = texts.imgs[image_id].get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e300:
            raise InputError(f"{repr(value)[:40]} is not a number of pixels", field=f"image {image_id}.{name}")
        size.append(value)
    return size[0], size[1]


def segment_of(
    annotations: list[dict[str, Any]], size: tuple[float, float], categories: dict[int, Any], counts: Counter[str]
) -> list[dict[str, Any]]:
    """``{"bbox": xyxy in [0, 1], "label": category}`` of each annotation of an image that has an area.

    Args:
        size: the image's width and height. counts: of what is left out or clipped; added to.

    Raises:
        InputError: naming each annotation with an unknown category or with a box that cannot be.
    """
    faults, segment = Faults(), []
    for one in annotations:
        with faults.at(_place("annotations", None, one)):
            if one["category_id"] not in categories:
                known = [str(name) for name in categories]
                raise InputError(f"{one['category_id']} is not a category; {instead('', known)}", field="category_id")
            box = _box(one.get("bbox"), size, counts)
            if box is not None:
                segment.append({"bbox": box, "label": categories[one["category_id"]]["name"]})
    faults.check()
    return segment


def _box(bbox: Any, size: tuple[float, float], counts: Counter[str]) -> list[float] | None:
    """COCO's (x, y, width, height) in pixels → xyxy as fractions; None without an area."""
    if bbox is None or bbox == []:  # what pycocotools itself takes for an annotation without a box
        counts["without a box, left out"] += 1
        return None
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_finite(value) for value in bbox):
        raise InputError(f"{str(bbox)[:80]} is not [x, y, width, height] in pixels", field="bbox")
    x, y, w, h = bbox
    if w <= 0 or h <= 0:
        counts["with a box of no area, left out"] += 1
        return None
    width, height = size
    if x < -WITHIN or y < -WITHIN or x + w > width + WITHIN or y + h > height + WITHIN:
        raise InputError(f"{bbox} reaches outside its picture of {width}×{height} pixels", field="bbox")
    corners = [x / width, y / height, (x + w) / width, (y + h) / height]
    clipped = [min(max(value, 0.0), 1.0) for value in corners]
    if clipped == corners:
        return corners
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        counts["with a box outside its picture, left out"] += 1
        return None
    counts["with a box that reached outside by up to a pixel, clipped"] += 1
    return clipped


def _check(item: Any, fields: dict[str, Any]) -> None:
    if not isinstance(item, dict):
        raise InputError("must be an object")
    for name, kind in fields.items():
        if name not in item:
            raise InputError("is missing", field=name)
        if isinstance(item[name], bool) or not isinstance(item[name], kind):
            raise InputError(f"{str(item[name])[:80]!r} is not {_KINDS[kind]}", field=name)


def _place(name: str, k: int | None, item: Any) -> str:
    """By its id, and that of its image, where it has one; else by its position."""
    if not isinstance(item, dict) or "id" not in item:
        return f"{name}[{k}]"
    image = f" of image {item['image_id']}" if "image_id" in item else ""
    return f"{name.removesuffix('s') if name != 'categories' else 'category'} {item['id']}{image}"


def _finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and -1e300 < value < 1e300
