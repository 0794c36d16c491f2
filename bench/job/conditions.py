"""What layouts ask for beside their instances, interactions and style images, and whether a method obeys it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.io.images import load_style
from amdm.models.registry import model_spec
from bench.layouts.layout_set import Entry, LayoutSet


def check_conditions(
    layout_set: LayoutSet,
    methods: Mapping[str, Sequence[str]],
    ignored: Mapping[str, Collection[str]] | None = None,
    instead: str = "--methods names others",
) -> None:
    """Refuse, before anything is generated, what a method would ignore or lacks.

    Args:
        methods: the models of each. ignored: what a method ignores on purpose. instead: what the user may do.

    Raises:
        InputError: naming the method, and the entry whose style image is missing.
    """
    interactions = any(entry.layout.interactions for entry in layout_set.entries)
    styles = check_styles(layout_set)
    for name, models in methods.items():
        own = [model_spec(model).kind for model in models]
        obeyed = frozenset[str]((ignored or {}).get(name, ()))
        obeyed = obeyed.union(*(one.reads | one.ignores_on_purpose for one in own))
        for condition, present in (("interactions", interactions), ("style", styles)):
            if present and condition not in obeyed:
                what = f"would ignore the field {condition} of the layouts {layout_set.name}"
                raise InputError(f"{what}; {instead}", field=f"methods.{name}")
        if not styles and any("style" in one.reads for one in own):
            what = f"needs a style image, and the layouts {layout_set.name} name none (field style)"
            raise InputError(what, field=f"methods.{name}")


def check_slots(layout_set: LayoutSet, methods: Mapping[str, Sequence[str]], most: int) -> None:
    """Raise InputError for a layout that asks for more than a method's model of interactions can hold."""
    placing = [name for name, models in methods.items() if any("interactions" in _reads(one) for one in models)]
    for entry in layout_set.entries if placing else ():
        if (count := len(entry.layout.triples())) > most:
            what = f"takes {most} instances and interactions a picture, and {layout_set.name} asks for {count}"
            raise InputError(f"{what} ({entry.key}); --methods names others", field=f"methods.{placing[0]}")


def _reads(model: str) -> frozenset[str]:
    return frozenset(model_spec(model).kind.reads)


def asked_of(layout_set: LayoutSet) -> tuple[str, ...]:
    """What the layouts hold, by the names of :data:`amdm.models.control.Conditioning`."""
    interactions = any(entry.layout.interactions for entry in layout_set.entries)
    style = any(entry.style is not None for entry in layout_set.entries)
    return ("instances", *(["interactions"] * interactions), *(["style"] * style))


def judged_conditions(entries: Sequence[Entry]) -> pd.DataFrame:
    """How many verdicts a picture of each layout has beside those on instances: layout_index, interactions, styles."""
    rows = [(entry.index, len(entry.actions), int(entry.asks_style)) for entry in entries]
    return pd.DataFrame(rows, columns=["layout_index", "interactions", "styles"])


def unread(models: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """Of what is asked for, what none of the models reads, in its order."""
    read = frozenset[str]().union(*(model_spec(model).kind.reads for model in models))
    return tuple(one for one in asked if one not in read)


def check_styles(layout_set: LayoutSet) -> bool:
    """Whether the set has style images.

    Raises:
        InputError: the first of :func:`style_faults`.
    """
    for fault in style_faults(layout_set):
        raise fault
    return any(entry.style is not None for entry in layout_set.entries)


def style_faults(layout_set: LayoutSet) -> Iterator[InputError]:
    """Style images that are not there, the first entry without one where others have one, and those that cannot be
    read, each file once."""
    keys: dict[Path, str] = {}
    for entry in layout_set.entries:
        if entry.style is not None:
            keys.setdefault(entry.style, entry.key)
    there = {path: key for path, key in keys.items() if path.is_file()}
    for path in (one for one in keys if one not in there):
        yield InputError("is not there", file=path, field=f"{keys[path]}.style")
    if keys and (lacking := [entry.key for entry in layout_set.entries if entry.style is None]):
        what = "is missing: other layouts of the set name a style image, and a model needs one for each"
        yield InputError(what, field=f"{lacking[0]}.style")
    for path, key in there.items():
        try:
            load_style(path)
        except InputError as error:
            yield error.within(field=f"{key}.style")


def style_digests(layout_set: LayoutSet) -> dict[str, str]:
    """SHA-256 of each entry's style image, by key. Raises InputError for one that is not there."""
    found, by_path = {}, dict[Path, str]()
    for entry in layout_set.entries:
        if entry.style is not None:
            if not entry.style.is_file():
                raise InputError("is not there", file=entry.style, field=f"{entry.key}.style")
            by_path[entry.style] = by_path.get(entry.style) or sha256(entry.style)
            found[entry.key] = by_path[entry.style]
    return found


def conditions_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """What a generator is called with beside layouts and keys: ``styles``, RGB pictures, where entries name some."""
    paths = [entry.style for entry in entries if entry.style is not None]
    return {"styles": [load_style(path) for path in paths]} if paths else {}


def true_conditions_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """The same for true renderings: ``styles`` are names, where entries ask for some."""
    names = [entry.style_name for entry in entries if entry.style is not None]
    return {"styles": names} if names else {}
