"""Layout files → :class:`LayoutSet`. Text is only parsed, never evaluated; errors name the file and the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from os.path import abspath
from pathlib import Path
from typing import Any

from amdm.errors import Faults, InputError, in_file
from amdm.io.files import lines_of, read_text, write_atomic
from amdm.io.yaml import read_yaml, without_duplicates
from amdm.layout import (
    FIELDS,
    MAX_SET_BYTES,
    Instance,
    LayoutEntry,
    check_fields,
    is_padding,
    notes,
    parse_entry,
    read_object,
    reject_lone_surrogates,
)
from bench.layouts.layout_set import Entry, Label, LayoutSet, check_level
from bench.layouts.vocabulary import vocabulary_of

MAX_YAML_BYTES = 4 * 2**20
"""Bytes; MIGC's file of 800 layouts has 400,225, and each takes ten times as long to read as one of JSON."""

Records = Mapping[str, Any]
"""Key → what :func:`amdm.layout.parse_entry` reads."""


def read_layouts(path: Path, name: str | None = None) -> LayoutSet:
    """A set from ``*.json`` (:func:`read_json`) or from MIGC's ``*.txt`` with its YAML file (:func:`read_migc`).

    Raises:
        InputError: another ending, or what the readers raise.
    """
    if path.suffix.lower() == ".json":
        return read_json(path, name or path.stem)
    if path.suffix.lower() == ".txt":
        return read_migc(path, path.with_name(f"{path.stem}_anno.yaml"), name or path.stem)
    raise InputError(
        "a layout file ends in .json (COCO-MIG form) or .txt (MIGC's, with *_anno.yaml beside it)", file=path
    )


def read_json(path: Path, name: str) -> LayoutSet:
    """The form that MIG-Bench's sampler writes, AMDM ships as ``mig_bench.json``, and this project uses.

    One object: key → ``{"caption", "segment": [{"bbox", "label"}, …]}``, and where they are wanted ``image_id``,
    ``interactions`` and ``style``: what :func:`amdm.layout.parse_entry` reads.

    Raises:
        InputError: unreadable, not JSON, a missing or an unknown field, a bad box, label or number of instances, a
            duplicate key, an empty set.
    """
    records = read_object(path, MAX_SET_BYTES)
    if isinstance(records.get("caption"), str):
        what = 'is one layout; a set maps keys to layouts: {"0": {"caption": …, "segment": […]}, "1": …}'
        raise InputError(what, file=path)
    with in_file(path):
        return parse_records(records, name, path.parent)


def read_migc(captions: Path, annotations: Path, name: str) -> LayoutSet:
    """MIGC's pair: captions, one a line in the order of the set; a YAML mapping caption → {phrase: [boxes], coco_id}.

    Instances are in the YAML's order, in which MIGC's own benchmark script reads them: equal phrases together. Keys are
    the ``coco_id`` fields, which in spite of their name are running indices.

    Raises:
        InputError: as :func:`read_json`; a caption without annotation or the reverse.
    """
    annotated = read_yaml(annotations, MAX_YAML_BYTES)
    if not isinstance(annotated, dict):
        raise InputError("must be one mapping, caption → boxes", file=annotations)
    lines = lines_of(read_text(captions, MAX_SET_BYTES))
    for number, caption in enumerate(lines, 1):
        if caption not in annotated:
            raise InputError(f"no such caption in {annotations.name}", file=captions, field=f"line {number}")
    if len(set(lines)) != len(lines) or len(lines) != len(annotated):
        raise InputError(f"{len(set(lines))} different captions, {len(annotated)} annotations", file=captions)
    with in_file(annotations):
        return parse_records(without_duplicates(_migc_record(caption, annotated[caption]) for caption in lines), name)


def write_json(layout_set: LayoutSet, path: Path) -> None:
    """Write a set in the form of :func:`read_json`.

    Raises:
        InputError: a style image is not in the folder of ``path``, where alone the form can name it.
    """
    records = {entry.key: _record(entry, path.parent) for entry in layout_set.entries}
    write_atomic(path, f"{json.dumps(records, separators=(',', ':'))}\n".encode())


def _record(entry: Entry, folder: Path) -> dict[str, Any]:
    def placed(one: Instance) -> dict[str, Any]:
        return {"bbox": list(one.box), "label": one.phrase}

    record: dict[str, Any] = {
        "caption": entry.layout.caption,
        "segment": [placed(one) for one in entry.layout.instances],
        "image_id": entry.image_id,
    }
    if entry.layout.interactions:
        record["interactions"] = [
            {"subject": placed(one.subject), "action": one.action, "object": placed(one.object)}
            for one in entry.layout.interactions
        ]
    if entry.style is not None:
        style, here = (Path(abspath(one)) for one in (entry.style, folder))
        if not style.is_relative_to(here):
            raise InputError(f"is not in {folder}", file=entry.style, field=f"{entry.key}.style")
        record["style"] = style.relative_to(here).as_posix()
    return record


def parse_records(records: Records, name: str, folder: Path = Path()) -> LayoutSet:
    """A set from the content of a file, checked.

    Args:
        folder: that of the file, to which paths of style images are relative.

    Raises:
        InputError: naming the keys of entries and the fields.
    """
    faults, entries, clipped, padding = Faults(), list[Entry](), 0, 0
    for index, (key, record) in enumerate(records.items()):
        with faults.at(reject_lone_surrogates(key, "key")):
            read = read_record(record)
            style = None if read.style is None else folder / read.style
            entries.append(Entry(index, key, read.image_id, read.layout, style))
            clipped, padding = clipped + read.clipped, padding + read.padding
    faults.check()
    vocabulary = vocabulary_of(label.category for entry in entries for label in entry.labels)
    found = LayoutSet(name, tuple(entries), vocabulary)
    return replace(found, notes=(*notes(clipped, padding), *found.judging_notes))


def read_record(record: Any) -> LayoutEntry:
    """An entry of a set: as every layout, but with 1 to 12 instances, of which a set's verdicts are.

    Raises:
        InputError: naming every field that is missing, unknown or wrong.
    """
    if isinstance(record, dict):
        if "segment" not in record:
            faults = Faults()
            check_fields(faults, record, FIELDS)  # it may be there under another name
            with faults.at():
                raise InputError("is missing", field="segment")
            faults.check()
        if isinstance(record["segment"], list):  # a hundred thousand of them need not be read to be too many
            check_level(sum(not is_padding(one) for one in record["segment"]))
    return parse_entry(record, Label.parse)


def _migc_record(caption: str, annotation: Any) -> tuple[str, dict[str, Any]]:
    """(key, record) of one annotation; what is not a mapping of lists is left to the checks of the records."""
    if not isinstance(annotation, dict):
        raise InputError("must be an object", field=caption)
    key = annotation.get("coco_id")
    if not isinstance(key, str):
        raise InputError("must be a text" if "coco_id" in annotation else "is missing", field=f"{caption}.coco_id")
    segment = []
    for phrase, boxes in annotation.items():
        if phrase == "coco_id":
            continue
        if not isinstance(boxes, list):
            raise InputError("must be a list", field=f"{caption}.{phrase}")
        segment += [{"label": phrase, "bbox": box} for box in boxes]
    return key, {"caption": caption, "segment": segment}
