"""Layouts of other forms → a set of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from amdm.errors import InputError, in_file, unknown
from bench.layouts.foreign import coco, rows, voc, yolo
from bench.layouts.foreign.boxes import BoxForm
from bench.layouts.foreign.records import Record, notes_of
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
        return coco.read_coco(source, captions, counts)
    if form == "yolo":
        return yolo.read_yolo(source, names, counts)
    if form == "voc":
        return voc.read_voc(source, counts)
    return (rows.read_jsonl if form == "jsonl" else rows.read_csv)(source, boxes, counts)
