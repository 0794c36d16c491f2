"""What is drawn on the page, as a layout, and as the file that ``amdm generate`` and ``amdm-bench`` read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from amdm.errors import InputError
from amdm.io.yaml import without_duplicates
from amdm.layout import (
    Instance,
    Interaction,
    Layout,
    LayoutEntry,
    checked_box,
    notes,
    parse_entry,
    reject_lone_surrogates,
)
from amdm.mini.vocabulary import caption as caption_of
from amdm.studio.style import StylePicture, style_of_page

MAX_BOXES = 12
MAX_JOINS = 12
LONGEST_PHRASE = 200
LONGEST_CAPTION = 1000
LONGEST_PAGE = 2 * 2**20
"""Characters of what the page sends; the style picture, in base64, is nearly all of it."""
LONGEST_FILE = 2**20
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Drawing:
    """A layout, and a style picture or None."""

    layout: Layout
    style: StylePicture | None = None


def read_page(text: Any) -> Drawing:
    """What the page sends: ``{"caption", "boxes": [{"phrase", "box"}], "joins": [{"subject", "action", "object"}],
    "style": {"name", "data"} or null}``; subject and object are numbers of boxes, from 0.

    Without a caption it is made of the phrases, as COCO-MIG's captions are.

    Raises:
        InputError: in words for whoever drew it, naming the box or the join.
    """
    content = _parsed(text, LONGEST_PAGE, "the drawing")
    boxes = _items(content, "boxes", MAX_BOXES)
    if not boxes:
        raise InputError("draw at least one box")
    instances = tuple(_numbered("box", k, _instance, one) for k, one in enumerate(boxes))
    joins = _items(content, "joins", MAX_JOINS)
    triples = tuple(_numbered("join", k, _interaction, one, instances) for k, one in enumerate(joins))
    caption = content.get("caption", "")
    if not isinstance(caption, str) or len(caption) > LONGEST_CAPTION:
        raise InputError(f"must be a text of at most {LONGEST_CAPTION} characters", field="caption")
    caption = caption if caption.strip() else caption_of([one.phrase for one in instances])
    return Drawing(Layout(caption, instances, triples), style_of_page(content.get("style")))


def layout_file(drawing: Drawing, as_set: bool = False) -> str:
    """The text of a layout file. as_set: of a set with this one layout, which ``amdm-bench --layouts`` takes."""
    layout = drawing.layout

    def placed(one: Instance) -> dict[str, Any]:
        return {"label": one.phrase, "bbox": list(one.box)}

    record: dict[str, Any] = {"caption": layout.caption, "segment": [placed(one) for one in layout.instances]}
    if layout.interactions:
        record["interactions"] = [
            {"subject": placed(one.subject), "action": one.action, "object": placed(one.object)}
            for one in layout.interactions
        ]
    if drawing.style is not None:
        record["style"] = drawing.style.name
    return json.dumps({"0": record} if as_set else record, indent=2, ensure_ascii=False) + "\n"


def page_of_file(text: Any) -> dict[str, Any]:
    """What the page shows of a layout file's text: as :func:`read_page` takes it, and ``notes``, lines for the reader.

    Of a set it is the first layout. The style picture is another file: ``style_name`` says which.

    Raises:
        InputError: naming every field that is missing, unknown or wrong.
    """
    content, said = _parsed(text, LONGEST_FILE, "the file"), list[str]()
    if content and all(isinstance(one, dict) and "caption" in one for one in content.values()):
        if len(content) > 1:
            said.append(f"the file holds {len(content)} layouts; the first is shown")
        content = next(iter(content.values()))
    entry = parse_entry(content)
    boxes = _drawn(entry)
    if len(boxes) > MAX_BOXES or len(entry.layout.interactions) > MAX_JOINS:
        raise InputError(f"the page holds at most {MAX_BOXES} boxes and {MAX_JOINS} joins")
    joins = [
        {"subject": boxes.index(one.subject), "action": one.action, "object": boxes.index(one.object)}
        for one in entry.layout.interactions
    ]
    return {
        "caption": entry.layout.caption,
        "boxes": [{"phrase": one.phrase, "box": list(one.box)} for one in boxes],
        "joins": joins,
        "style": None,
        "style_name": entry.style or "",
        "notes": [*said, *notes(entry.clipped, entry.padding)],
    }


def _drawn(entry: LayoutEntry) -> list[Instance]:
    """The instances, and what interactions name beside them."""
    ends = [one for triple in entry.layout.interactions for one in (triple.subject, triple.object)]
    others = [one for one in dict.fromkeys(ends) if one not in entry.layout.instances]
    return [*entry.layout.instances, *others]


def _parsed(text: Any, most: int, what: str) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > most:
        raise InputError(f"{what} is not a text, or has more than {most:,} characters")
    try:
        content = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=without_duplicates)
    except InputError:
        raise
    except (ValueError, RecursionError):
        raise InputError(f"{what} cannot be read: it is not JSON") from None
    if not isinstance(content, dict):
        raise InputError(f"{what} must be a JSON object with caption and segment")
    return content


def _items(content: dict[str, Any], name: str, most: int) -> list[Any]:
    items = content.get(name, [])
    if not isinstance(items, list):
        raise InputError("must be a list", field=name)
    if len(items) > most:
        raise InputError(f"there are {len(items)} {name}; the page holds at most {most}")
    return items


def _numbered(what: str, k: int, read: Callable[..., _Read], *given: Any) -> _Read:
    try:
        return read(*given)
    except InputError as error:
        raise InputError(f"{what} {k + 1} {error.what}") from None


def _instance(item: Any) -> Instance:
    content = item if isinstance(item, dict) else {}
    phrase = _words(content.get("phrase"), "has no name: choose a colour and a shape, or write what it is")
    try:
        return Instance(phrase, checked_box(content.get("box", ())))
    except InputError as error:
        raise InputError(f"cannot be used: {error.what}") from None


def _interaction(item: Any, instances: Sequence[Instance]) -> Interaction:
    content = item if isinstance(item, dict) else {}
    ends = []
    for name in ("subject", "object"):
        number = content.get(name)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(instances):
            raise InputError(f"names a {name} that is not a box")
        ends.append(instances[number])
    if content["subject"] == content["object"]:
        raise InputError("joins a box to itself: choose two")
    return Interaction(ends[0], _words(content.get("action"), "has no action: choose one, or write it"), ends[1])


def _words(text: Any, otherwise: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise InputError(otherwise)
    if len(text) > LONGEST_PHRASE:
        raise InputError(f"has a name of more than {LONGEST_PHRASE} characters")
    return reject_lone_surrogates(text)
