"""Layouts as JSON lines and as CSV, boxes in a form that is named → layout records."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from amdm.errors import Faults, InputError, in_file
from amdm.io.files import lines_of, read_text
from amdm.io.yaml import without_duplicates
from amdm.layout import FIELDS, check_fields
from bench.layouts.foreign.boxes import NAMES, BoxForm, Record, made_caption, number, pixel_size, record
from bench.layouts.readers import read_record

MAX_ROWS_BYTES = 16 * 2**20
"""Bytes, as of a layout set."""
JSONL_FIELDS = (*FIELDS, "key", "width", "height")
CSV_FIELDS = ("key", "label", "caption", "image_id", "width", "height")


def read_jsonl(path: Path, form: BoxForm, counts: Counter[str]) -> dict[str, Record]:
    """A layout a line: an object as in a layout file, with boxes in ``form``, and ``key`` (by default the line's number
    from 0), ``width`` and ``height`` in pixels. ``caption`` may be left out.

    Raises:
        InputError: naming every line and field that is wrong.
    """
    faults, records = Faults(), dict[str, Record]()
    for line, text in enumerate(lines_of(read_text(path, MAX_ROWS_BYTES)), 1):
        if not text.strip():
            continue
        with in_file(path), faults.at(f"line {line}"):
            content = _object(text)
            key = content.pop("key", str(len(records)))
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise InputError("must be a text or an integer", field="key")
            if str(key) in records:
                raise InputError(f"{str(key)[:40]!r} stands twice: keys must be distinct", field="key")
            records[str(key)] = _converted(content, form, counts)
    return _checked(faults, records, path)


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text, object_pairs_hook=without_duplicates)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError("must be an object")
    return content


def _converted(content: dict[str, Any], form: BoxForm, counts: Counter[str]) -> Record:
    """With boxes as xyxy in [0, 1]. Raises InputError naming every field that is wrong."""
    faults, size = Faults(), None
    check_fields(faults, content, JSONL_FIELDS)
    if "width" in content or "height" in content:
        with faults.at():
            size = pixel_size(content.pop("width", None), content.pop("height", None))
    for name in ("segment", "interactions"):
        items = content.get(name)
        for k, item in enumerate(items if isinstance(items, list) else []):
            parts = item if isinstance(item, dict) else {}
            ends = {"": item} if name == "segment" else {f".{role}": parts.get(role) for role in ("subject", "object")}
            for role, one in ends.items():
                if isinstance(one, dict) and "bbox" in one:
                    with faults.at(f"{name}[{k}]{role}"):
                        values, one["bbox"] = one["bbox"], [0.0, 0.0, 1.0, 1.0]  # for the reading below, if it is bad
                        one["bbox"] = form.unit_box(values, size, counts)
    if "caption" not in content:
        segment = content.get("segment")
        labels = [one.get("label") for one in segment if isinstance(one, dict)] if isinstance(segment, list) else []
        content["caption"] = made_caption([one for one in labels if isinstance(one, str)])
        counts["captions made of the labels"] += 1
    with faults.at():
        read_record({name: value for name, value in content.items() if name in FIELDS})
    faults.check()
    return content


def read_csv(path: Path, form: BoxForm, counts: Counter[str]) -> dict[str, Record]:
    """A box a row: ``key``, ``label``, four numbers named by ``form`` (:data:`bench.layouts.foreign.boxes.NAMES`), and
    perhaps ``caption``, ``image_id``, ``width`` and ``height``; rows of one key are one layout, of which only the first
    need have a caption and an image_id.

    Raises:
        InputError: naming every line and column that is wrong.
    """
    rows = csv.DictReader(StringIO(read_text(path, MAX_ROWS_BYTES), newline=""), strict=True)
    faults, found = Faults(), _Rows(form, counts)
    try:
        header = list(rows.fieldnames or ())
        _check_header(header, NAMES[form.corners], form, path)
        for row in rows:
            with in_file(path), faults.at(f"line {rows.line_num}"):
                found.add(row)
    except csv.Error as error:
        raise InputError(f"is not CSV: {error}", file=path, field=f"line {rows.line_num}") from None
    for one in found.records.values():
        if one["caption"] is None:
            one["caption"] = made_caption([item["label"] for item in one["segment"]])
            counts["captions made of the labels"] += 1
    return _checked(faults, found.records, path)


def _check_header(header: list[str], names: tuple[str, ...], form: BoxForm, path: Path) -> None:
    faults = Faults()
    needed = ("key", "label", *names, *(("width", "height") if form.units == "pixel" else ()))
    for name in needed:
        with faults.at():
            if name not in header:
                raise InputError(f"is missing: columns are {', '.join(needed)}", file=path, field=name)
    for name in dict.fromkeys(header):
        with faults.at():
            if name not in (*CSV_FIELDS, *names):
                raise InputError("is an unknown column", file=path, field=name)
            if header.count(name) > 1:
                raise InputError("stands twice", file=path, field=name)
    faults.check()


@dataclass
class _Rows:
    """Rows of a CSV, gathered to layouts. first: of each key, what its first row says of the picture."""

    form: BoxForm
    counts: Counter[str]
    records: dict[str, Record] = field(default_factory=dict)
    first: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, row: dict[Any, Any]) -> None:
        """One row's box, to the layout of its key. Raises InputError naming its columns."""
        if None in row or None in row.values():
            raise InputError("has more or fewer cells than the header")
        faults, size, box = Faults(), None, [0.0, 0.0, 1.0, 1.0]
        if self.form.units == "pixel":
            with faults.at():
                size = pixel_size(*(number(row[name], name) for name in ("width", "height")))
        sized = self.form.units != "pixel" or size is not None
        for name in ("key", "label"):
            with faults.at(name):
                if not row[name].strip():
                    raise InputError("is empty")
        with faults.at():
            values = [number(row[name], name) for name in NAMES[self.form.corners]]
            box = self.form.unit_box(values, size, self.counts) if sized else box
        with faults.at():
            self._check_picture(row, size)
        faults.check()
        own = record([], row.get("caption", ""), row.get("image_id", "")) | {"caption": row.get("caption") or None}
        self.records.setdefault(row["key"], own)["segment"].append({"label": row["label"], "bbox": box})

    def _check_picture(self, row: dict[str, str], size: tuple[float, float] | None) -> None:
        """Raise InputError for each column in which a row differs from the first of its key."""
        width, height = size or (row.get("width", ""), row.get("height", ""))
        told = {**{name: row.get(name, "") for name in ("caption", "image_id")}, "width": width, "height": height}
        faults, first = Faults(), self.first.setdefault(row["key"], told)
        for name, value in told.items():
            with faults.at(name):
                if value not in ("", first[name]):
                    raise InputError(f"is not that of the first row of {row['key'][:40]!r}")
        faults.check()


def _checked(faults: Faults, records: dict[str, Record], path: Path) -> dict[str, Record]:
    with in_file(path):
        faults.check()
    return records
