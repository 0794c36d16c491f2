"""Pascal VOC's annotations → layout records: an XML file a picture, boxes in pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from amdm.errors import Faults, InputError
from amdm.io.files import read_bytes
from bench.layouts.foreign.boxes import BoxForm, Record, number, pixel_size, read_each

FORM = BoxForm("xyxy", "pixel")
MAX_XML_BYTES = 2**20
DEEPEST = 32
SIDES = ("xmin", "ymin", "xmax", "ymax")
_Texts = dict[tuple[str, ...], list[str]]
"""Path of an element within its object → the pieces of its text."""
SIZE = frozenset({("width",), ("height",)})
OBJECT = frozenset({("name",), *(("bndbox", side) for side in SIDES)})
"""Of ``size`` and ``object``, the elements that are read; each may stand once."""


def read_voc(source: Path, counts: Counter[str]) -> dict[str, Record]:
    """A layout a file (``*.xml`` of a folder, or one file), by its name without its ending.

    Corners are taken as edges of the box, as annotation tools write them; the challenge's own files count pixels from
    1, which is a pixel's difference.

    Raises:
        InputError: no such files; each object that is none, by file and line; an element that is read and stands twice;
            a document with a DTD, whose entities are not read.
    """
    paths = sorted(source.glob("*.xml")) if source.is_dir() else [source]
    if not paths:
        raise InputError("holds no *.xml", file=source)
    return read_each(paths, lambda path: _segment(_parse(read_bytes(path, MAX_XML_BYTES)), counts), counts, True)


@dataclass
class _Object:
    """What is read of an ``object``, and the line that it begins in."""

    line: int
    texts: _Texts = field(default_factory=dict)


@dataclass
class _Document:
    size: _Texts = field(default_factory=dict)
    objects: list[_Object] = field(default_factory=list)

    def pieces(self, path: list[str], line: int) -> list[str] | None:
        """Where the text of an element that begins goes; None: it is not read. Raises InputError for a second one."""
        if path == ["annotation", "object"]:
            self.objects.append(_Object(line))
        place = tuple(path[2:])
        if path[:2] == ["annotation", "size"] and place in SIZE:
            into = self.size
        elif path[:2] == ["annotation", "object"] and place in OBJECT:
            into = self.objects[-1].texts
        else:
            return None
        if place in into:
            raise InputError("stands twice", field=f"line {line}.{'.'.join(path[1:])}")
        return into.setdefault(place, [])


def _text(texts: _Texts, *place: str) -> str:
    return "".join(texts.get(place, ())).strip()


def _parse(content: bytes) -> _Document:
    """What is read of a document, and no more: nothing is resolved, expanded or fetched."""
    document, path, parser = _Document(), list[str](), expat.ParserCreate()
    into: list[list[str] | None] = []  # of each element on the path

    def refuse(*_: object) -> NoReturn:
        raise InputError("has a document type, whose entities are not read", field=f"line {parser.CurrentLineNumber}")

    def start(name: str, _: object) -> None:
        path.append(name)
        if len(path) > DEEPEST:
            raise InputError(f"is nested deeper than {DEEPEST}", field=f"line {parser.CurrentLineNumber}")
        into.append(document.pieces(path, parser.CurrentLineNumber))

    def text(piece: str) -> None:
        if into and into[-1] is not None:
            into[-1].append(piece)

    def end(_: str) -> None:
        path.pop()
        into.pop()

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, text, end
    try:
        parser.Parse(content, True)
    except InputError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two of encodings that it does not know
        raise InputError(f"not XML: {error}", field=f"line {parser.CurrentLineNumber}") from None
    return document


def _segment(document: _Document, counts: Counter[str]) -> list[dict[str, object]]:
    faults, segment, size = Faults(), list[dict[str, object]](), None
    with faults.at("size"):
        width, height = (number(_text(document.size, name), name) for name in ("width", "height"))
        size = pixel_size(width, height)
    for one in document.objects:
        name = _text(one.texts, "name")
        with faults.at(f"line {one.line}"):
            if not name:
                raise InputError("is missing", field="name")
        with faults.at(f"line {one.line}"):
            values = [number(_text(one.texts, "bndbox", side), f"bndbox.{side}") for side in SIDES]
            if size is not None:
                segment.append({"label": name, "bbox": FORM.unit_box(values, size, counts)})
    faults.check()
    return segment
