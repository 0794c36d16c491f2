"""COCO's annotation files → layout records."""

from __future__ import annotations

from collections import Counter
from math import inf
from pathlib import Path
from typing import Any

from amdm.errors import Faults, in_file
from amdm.layout import read_object
from bench.layouts.annotations import ID, LARGEST_ANNOTATIONS, check_one_kind, indexed, picture_size, segment_of
from bench.layouts.foreign.records import Record, keep, record


def read_coco(instances: Path, captions: Path | None, counts: Counter[str]) -> dict[str, Record]:
    """A layout an image, by its id: categories as labels, the first of its captions where a captions file is given.

    Raises:
        InputError: naming each annotation, its image and its field where it is none of COCO's.
    """
    faults, records, segments = Faults(), dict[str, Record](), Counter[str]()
    texts = None if captions is None else _indexed(captions, {"caption": str})
    with in_file(instances):
        objects = indexed(read_object(instances, LARGEST_ANNOTATIONS), {"category_id": ID}, faults)
    with in_file(captions):
        if texts is not None:
            check_one_kind(texts, objects)
    for image_id, own in objects.imgToAnns.items():
        size = (inf, inf)  # where it is not known, which is a fault, no box reaches outside
        with in_file(instances), faults.at():
            size = picture_size(image_id, objects)
        with in_file(instances), faults.at():
            segment = segment_of(own, size, objects.cats, segments)
            sentences = [] if texts is None else texts.imgToAnns.get(image_id, [])
            caption = sentences[0]["caption"] if sentences else None
            keep(records, str(image_id), record(segment, caption, str(image_id)), counts)
            counts["captions made of the labels"] += caption is None and str(image_id) in records
    with in_file(instances):
        faults.check()
    counts.update({f"annotations {what}": count for what, count in segments.items()})
    counts["pictures without boxes, left out"] += len(set(objects.imgs) - set(objects.imgToAnns))
    return records


def _indexed(path: Path, fields: dict[str, Any]) -> Any:
    with in_file(path):
        return indexed(read_object(path, LARGEST_ANNOTATIONS), fields)
