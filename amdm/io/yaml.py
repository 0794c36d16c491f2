"""Untrusted YAML: plain values alone, and none that takes long to read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from amdm.errors import InputError, in_file
from amdm.io.files import read_text

MAX_DEPTH = 8
MAX_EVENTS = 400_000
"""Of the parser, about 10 s on a slow machine; MIGC's 800 layouts make 30,000."""


def load_plain(text: str, most_events: int = MAX_EVENTS) -> Any:
    """Mappings, lists, decimal numbers, true, false, null and texts.

    No tags and no aliases (a short text could make a large value), none of YAML 1.1's other numbers ("1:30" is 90
    there, and a long one takes minutes), no duplicate keys. The C loader's recursion has no bound: depth is checked
    before anything is built.

    Raises:
        InputError: naming what it is.
        yaml.YAMLError, ValueError: it is no YAML.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(text, _PlainLoader), 1):
        if count > most_events:
            raise InputError(f"has more than {most_events:,} values")
        if isinstance(event, yaml.AliasEvent):
            raise InputError("is an alias, which is not read here", field=f"*{event.anchor}")
        if tag := getattr(event, "tag", None):
            raise InputError("is a tag, which is not read here", field=tag)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError(f"nested deeper than {MAX_DEPTH}")
    return yaml.load(text, _PlainLoader)


def read_yaml(path: Path, largest: int, most_events: int = MAX_EVENTS) -> Any:
    """:func:`load_plain` of a file of at most ``largest`` bytes. Raises InputError naming the file."""
    text = read_text(path, largest)
    with in_file(path):
        try:
            return load_plain(text, most_events)
        except InputError:
            raise
        except (yaml.YAMLError, ValueError) as error:
            raise InputError(f"not YAML: {error}") from None


def without_duplicates(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """As a dictionary. Raises InputError where a key stands twice."""
    result: dict[Any, Any] = {}
    for key, value in pairs:
        if key in result:
            raise InputError("duplicate key", field=str(key))
        result[key] = value
    return result


class _PlainLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader (the C one where it is built in: ten times faster) with fewer meanings of plain words."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (as the base class has it)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = dict(super().construct_mapping(node, deep))
        without_duplicates((self.construct_object(key, deep=True), None) for key, _ in node.value)
        return mapping


for _tag, _form, _first in (
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", "-+0123456789"),
    ("float", r"[-+]?[0-9]{0,40}(\.[0-9]{1,40}|[0-9]\.?)([eE][-+]?[0-9]{1,3})?|[-+]?\.inf|\.nan", "-+.0123456789"),
    ("bool", "true|false|True|False", "tfTF"),
    ("null", "null|~|", ["n", "~", ""]),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})\\Z"), list(_first))
