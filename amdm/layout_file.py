"""Layouts as JSON files: what one picture shall hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amdm.errors import InputError
from amdm.files import read_json
from amdm.layout import Instance, Interaction, Layout

LARGEST_FILE = 2**20
"""Bytes; a layout of a thousand instances has a tenth of it."""

FIELDS = ("caption", "segment", "interactions", "style")


def read_layout(path: str | Path) -> tuple[Layout, Path | None]:
    """A layout and its style image, if it names one.

    A JSON object with ``caption``; ``segment``, a list of ``{"label", "bbox"}`` (xyxy in [0, 1]); ``interactions``, a
    list of ``{"subject": {"label", "bbox"}, "action", "object": {"label", "bbox"}}``; ``style``, an image beside it.

    Raises:
        InputError: naming the file and the field that is missing, unknown or wrong.
    """
    path = Path(path)
    content = read_json(path, LARGEST_FILE)
    try:
        if not isinstance(content, dict):
            raise InputError("must be a JSON object with caption and segment")
        if unknown := [name for name in content if name not in FIELDS]:
            raise InputError(f"is unknown; there are: {', '.join(FIELDS)}", field=unknown[0])
        layout = Layout(
            _field(content, "caption", str),
            tuple(_each(content.get("segment", []), "segment", _instance)),
            tuple(_each(content.get("interactions", []), "interactions", _interaction)),
        )
        style = _field(content, "style", str) if "style" in content else None
        if style is not None and (not style or Path(style).name != style):
            raise InputError("must be the name of a file beside the layout", field="style")
    except InputError as error:
        raise error.within(file=path) from None
    return layout, None if style is None else path.parent / style


def _each(items: Any, name: str, read: Any) -> Sequence[Any]:
    if not isinstance(items, list):
        raise InputError("must be a list", field=name)
    result = []
    for k, item in enumerate(items):
        try:
            result.append(read(item))
        except InputError as error:
            raise error.within(field=f"{name}[{k}]") from None
    return result


def _instance(item: Any) -> Instance:
    label, box = _field(item, "label", str), tuple(_field(item, "bbox", list))
    try:
        return Instance(label, box)
    except InputError as error:  # by the names that they have in the file
        raise InputError(error.what, field={"box": "bbox", "phrase": "label"}.get(error.field or "")) from None


def _interaction(item: Any) -> Interaction:
    ends = {}
    for name in ("subject", "object"):
        try:
            ends[name] = _instance(_field(item, name, dict))
        except InputError as error:
            raise (error if error.field == name else error.within(field=name)) from None
    return Interaction(ends["subject"], _field(item, "action", str), ends["object"])


def _field(content: Any, name: str, kind: type) -> Any:
    if not isinstance(content, dict) or name not in content:
        raise InputError("is missing", field=name)
    if not isinstance(content[name], kind):
        raise InputError(f"must be a {kind.__name__}", field=name)
    return content[name]
