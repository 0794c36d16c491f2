"""Layouts of other forms → a set of ours; COCO's annotation files among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from amdm.errors import Faults, InputError, in_file, unknown
from amdm.layout import read_object
from bench.layouts.annotations import ID, MAX_ANNOTATIONS_BYTES, check_one_kind, indexed, picture_size, segment_of
from bench.layouts.foreign import rows, voc, yolo
from bench.layouts.foreign.boxes import BoxForm, Record, keep, notes_of, record
from bench.layouts.layout_set import LayoutSet
from bench.layouts.readers import parse_records

FIXED: Mapping[str, BoxForm] = {"coco": BoxForm("xywh", "pixel"), "yolo": yolo.FORM, "voc": voc.FORM}
"""Source forms whose boxes have one form."""
SOURCES = (*FIXED, "jsonl", "csv")


def convert(
    source: Path,
    form: str,
    boxes: str | None = None,
    units: str | None = None,
    captions: Path | None = None,
    names: Path | None = None,
) -> LayoutSet:
    """A set from ``source``; its notes say what was left out, clipped, or cannot be judged.

    Args:
        form: one of :data:`SOURCES`. boxes, units: how boxes are written (:class:`BoxForm`); needed for jsonl and csv,
            known of the others. captions: COCO's captions file. names: YOLO's names of classes.

    Raises:
        InputError: an option that the form does not take or lacks; every fault of the source, by file and line or key.
    """
    if form not in SOURCES:
        raise unknown("form of layouts", form, SOURCES, field="from")
    for owner, option, value in (("coco", "captions", captions), ("yolo", "names", names)):
        if value is not None and form != owner:
            raise InputError(f"goes with --from {owner}", field=option)
    chosen, counts = _box_form(form, boxes, units), Counter[str]()
    records = _read(source, form, chosen, captions, names, counts)
    if not records:
        raise InputError("holds no layout", file=source)
    with in_file(source):
        found = parse_records(records, source.stem, source.parent)
    return replace(found, notes=(*notes_of(counts), *found.notes))


def _box_form(form: str, boxes: str | None, units: str | None) -> BoxForm:
    """What is asked for; where the source form decides, nothing else may be."""
    if form in FIXED:
        fixed = FIXED[form]
        for name, asked, known in (("boxes", boxes, fixed.corners), ("units", units, fixed.units)):
            if asked not in (None, known):
                raise InputError(f"of {form} are {known}, not {asked}", field=name)
        return fixed
    for name, asked in (("boxes", boxes), ("units", units)):
        if asked is None:
            raise InputError(f"is needed with --from {form}, which does not say it", field=name)
    return BoxForm(str(boxes), str(units))


def _read(
    source: Path, form: str, boxes: BoxForm, captions: Path | None, names: Path | None, counts: Counter[str]
) -> dict[str, Record]:
    if form == "coco":
        return read_coco(source, captions, counts)
    if form == "yolo":
        return yolo.read_yolo(source, names, counts)
    if form == "voc":
        return voc.read_voc(source, counts)
    return (rows.read_jsonl if form == "jsonl" else rows.read_csv)(source, boxes, counts)


def read_coco(instances: Path, captions: Path | None, counts: Counter[str]) -> dict[str, Record]:
    """A layout an image, by its id: categories as labels, the first of its captions where a captions file is given.

    Raises:
        InputError: naming each annotation, its image and its field where it is none of COCO's.
    """
    faults, records, segments = Faults(), dict[str, Record](), Counter[str]()
    texts = None if captions is None else _indexed(captions, {"caption": str})
    with in_file(instances):
        objects = indexed(read_object(instances, MAX_ANNOTATIONS_BYTES), {"category_id": ID}, faults)
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
        return indexed(read_object(path, MAX_ANNOTATIONS_BYTES), fields)
