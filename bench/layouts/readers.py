"""Layout files → :class:`LayoutSet`. Text is only parsed, never evaluated; errors name the file and the field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from amdm.errors import InputError
from amdm.files import read_limited, write_whole
from amdm.layout import Instance, Layout, checked_box, whole_text
from amdm.plain_yaml import load_plain, without_duplicates
from bench.layouts.layout_set import MAX_INSTANCES, Entry, Label, LayoutSet, check_level
from bench.layouts.vocabulary import COCO, MINI, Vocabulary

LARGEST_ANNOTATIONS = 512 * 2**20
"""Bytes; COCO's captions and instances have less."""
LARGEST_SET = 16 * 2**20
"""Bytes; 800 layouts have 400,000."""
LARGEST_YAML = 4 * 2**20
"""Bytes; MIGC's file of 800 layouts has 400,225, and each takes ten times as long to read as one of JSON."""

Records = Mapping[str, Any]
"""Key → ``{"caption": text, "segment": [{"bbox": [x1, y1, x2, y2], "label": text}, …], "image_id": text}``."""


def read_layouts(path: Path, name: str | None = None) -> LayoutSet:
    """A set from ``*.json`` (:func:`read_json`) or from MIGC's ``*.txt`` with its YAML file (:func:`read_migc`).

    Raises:
        InputError: another ending, or what the readers raise.
    """
    if path.suffix == ".json":
        return read_json(path, name or path.stem)
    if path.suffix == ".txt":
        return read_migc(path, path.with_name(f"{path.stem}_anno.yaml"), name or path.stem)
    raise InputError(
        "a layout file ends in .json (COCO-MIG form) or .txt (MIGC's, with *_anno.yaml beside it)", file=path
    )


def read_json(path: Path, name: str) -> LayoutSet:
    """The form that MIG-Bench's sampler writes, AMDM ships as ``mig_bench.json``, and this project uses.

    One object: key → ``{"caption", "segment": [{"bbox", "label"}, …], "image_id"}``; ``image_id`` may be absent.

    Raises:
        InputError: unreadable, not JSON, a missing key, a bad box, label, colour, category or number of instances,
            a duplicate key, an empty set.
    """
    records = read_object(path, LARGEST_SET)
    if "caption" in records and "segment" in records:
        what = 'is one layout; a set maps keys to layouts: {"0": {"caption": …, "segment": […]}, "1": …}'
        raise InputError(what, file=path)
    try:
        return parse_records(records, name)
    except InputError as error:
        raise error.within(file=path) from None


def read_object(path: Path, most: int = LARGEST_ANNOTATIONS) -> dict[str, Any]:
    """A JSON object of at most ``most`` bytes.

    Raises:
        InputError: it is anything else, or holds a duplicate key at any depth.
    """
    try:
        content = json.loads(_text(path, most), object_pairs_hook=without_duplicates)
    except InputError as error:
        raise error.within(file=path) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", file=path) from None
    if not isinstance(content, dict):
        raise InputError("must be one object", file=path)
    return content


def read_migc(captions: Path, annotations: Path, name: str) -> LayoutSet:
    """MIGC's pair: captions, one a line in the order of the set; a YAML mapping caption → {phrase: [boxes], coco_id}.

    Instances are in the YAML's order, in which MIGC's own benchmark script reads them: equal phrases together. Keys are
    the ``coco_id`` fields, which in spite of their name are running indices.

    Raises:
        InputError: as :func:`read_json`; a caption without annotation or the reverse.
    """
    try:
        annotated = load_plain(_text(annotations, LARGEST_YAML))
    except InputError as error:
        raise error.within(file=annotations) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"not YAML: {error}", file=annotations) from None
    if not isinstance(annotated, dict):
        raise InputError("must be one mapping, caption → boxes", file=annotations)
    lines = _text(captions, LARGEST_SET).splitlines()
    for number, caption in enumerate(lines, 1):
        if caption not in annotated:
            raise InputError(f"no such caption in {annotations.name}", file=captions, field=f"line {number}")
    if len(set(lines)) != len(lines) or len(lines) != len(annotated):
        raise InputError(f"{len(set(lines))} different captions, {len(annotated)} annotations", file=captions)
    try:
        return parse_records(without_duplicates(_migc_record(caption, annotated[caption]) for caption in lines), name)
    except InputError as error:
        raise error.within(file=annotations) from None


def write_json(layout_set: LayoutSet, path: Path) -> None:
    """Write a set in the form of :func:`read_json`."""
    records = {
        entry.key: {
            "caption": entry.layout.caption,
            "segment": [{"bbox": list(one.box), "label": one.phrase} for one in entry.layout.instances],
            "image_id": entry.image_id,
        }
        for entry in layout_set.entries
    }
    write_whole(path, f"{json.dumps(records, separators=(',', ':'))}\n".encode())


def parse_records(records: Records, name: str) -> LayoutSet:
    """A set from the content of a file, checked.

    Raises:
        InputError: naming the entry's key and the field.
    """
    entries = [_entry(index, key, record) for index, (key, record) in enumerate(records.items())]
    return LayoutSet(name, tuple(entries), _vocabulary(entries))


def _entry(index: int, key: str, record: Any) -> Entry:
    caption = _member(record, "caption", str, whole_text(key, "key"))
    instances = []
    segment = _member(record, "segment", list, key)
    if len(segment) > MAX_INSTANCES:  # a hundred thousand of them need not be read to be too many
        check_level(len(segment), key)
    for k, one in enumerate(segment):
        place = f"{key}.segment[{k}]"
        label, box = _member(one, "label", str, place), _member(one, "bbox", list, place)
        try:
            Label.parse(label)
            instances.append(Instance(label, checked_box(box)))
        except InputError as error:
            field = "bbox" if error.field == "box" else "label"
            raise InputError(error.what, field=f"{place}.{field}") from None
    image_id = record.get("image_id", "")
    if isinstance(image_id, bool) or not isinstance(image_id, str | int):
        raise InputError("must be a text or an integer", field=f"{key}.image_id")
    return Entry(index, key, whole_text(str(image_id), f"{key}.image_id"), Layout(caption, tuple(instances)))


def _member(holder: Any, name: str, kind: type, place: str) -> Any:
    if not isinstance(holder, dict):
        raise InputError("must be an object", field=place)
    if name not in holder:
        raise InputError("missing", field=f"{place}.{name}")
    if not isinstance(holder[name], kind):
        raise InputError(f"must be a {'text' if kind is str else 'list'}", field=f"{place}.{name}")
    return whole_text(holder[name], f"{place}.{name}") if kind is str else holder[name]


def _migc_record(caption: str, annotation: Any) -> tuple[str, dict[str, Any]]:
    """(key, record) of one annotation; what is not a mapping of lists is left to the checks of the records."""
    key = _member(annotation, "coco_id", str, caption)
    segment = [
        {"label": phrase, "bbox": box}
        for phrase in annotation
        if phrase != "coco_id"
        for box in _member(annotation, phrase, list, caption)
    ]
    return key, {"caption": caption, "segment": segment}


def _vocabulary(entries: Iterable[Entry]) -> Vocabulary:
    """Shapes where any label names one, COCO's categories otherwise: the two have no word in common."""
    shapes = any(label.category in MINI.categories for entry in entries for label in entry.labels)
    return MINI if shapes else COCO


def _text(path: Path, most: int) -> str:
    content = read_limited(path, most)
    try:
        return content.decode("utf-8")
    except ValueError:
        raise InputError("not UTF-8 text", file=path) from None
