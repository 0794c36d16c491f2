"""Records of a layout set in the making: captions where a source has none, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from amdm.errors import Faults, InputError, in_file
from bench.layouts.layout_set import ARTICLES, MAX_INSTANCES

Record = dict[str, Any]


def made_caption(labels: Sequence[str]) -> str:
    """The benchmark's grammar, with an article where a label has none.

    >>> made_caption(["a red bowl", "apple"])
    'a photo of a red bowl and an apple '
    """
    return "a photo of " + "and ".join(f"{_with_article(one)} " for one in labels)


def _with_article(label: str) -> str:
    first = label.split(" ", 1)[0].lower()
    return label if first in ARTICLES else f"{'an' if first[:1] in 'aeiou' else 'a'} {label}"


def record(segment: Sequence[dict[str, Any]], caption: str | None = None, image_id: str = "") -> Record:
    """One layout in the form of :func:`amdm.layout.parse_entry`; its caption is made of labels where there is none."""
    text = made_caption([one["label"] for one in segment]) if caption is None else caption
    return {"caption": text, "segment": list(segment), "image_id": image_id}


def keep(records: dict[str, Record], key: str, one: Record, counts: Counter[str]) -> None:
    """Add an annotated picture, if a layout may have as many instances; else count it as left out.

    Raises:
        InputError: the key is there already.
    """
    if key in records:
        raise InputError("stands twice: keys must be distinct", field=key)
    if not one["segment"]:
        counts["pictures without boxes, left out"] += 1
    elif len(one["segment"]) > MAX_INSTANCES:
        counts[f"pictures with more than {MAX_INSTANCES} boxes, left out"] += 1
    else:
        records[key] = one


def read_each(
    paths: Iterable[Path],
    segment_of: Callable[[Path], Sequence[dict[str, Any]]],
    counts: Counter[str],
    image_ids: bool = False,
) -> dict[str, Record]:
    """A layout a file, by the file's name without its ending; captions are made of the labels.

    Args:
        segment_of: from a file to its labels and boxes. counts: of what is left out; added to. image_ids: names of the
            files are those of the pictures.

    Raises:
        InputError: naming every file that cannot be read.
    """
    faults, records = Faults(), dict[str, Record]()
    for path in paths:
        with faults.at(), in_file(path):
            keep(records, path.stem, record(segment_of(path), image_id=path.stem if image_ids else ""), counts)
            counts["captions made of the labels"] += path.stem in records
    faults.check()
    return records


def notes_of(counts: Counter[str]) -> list[str]:
    """Lines that say what was left out, clipped or made up."""
    return [f"{count} {what}" for what, count in sorted(counts.items()) if count]
