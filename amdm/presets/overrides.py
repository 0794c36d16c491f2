"""Overrides of settings, as texts ``field=value``, and how they are put into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from amdm.errors import InputError
from amdm.io.yaml import load_plain
from amdm.models.registry import MODELS

LONGEST_VALUE = 10_000
MAX_EVENTS = 200
"""Of an override: characters, and events of the YAML parser."""


def parse_override(text: str) -> tuple[list[str], Any]:
    """``"aggregation.s=5"`` → (["aggregation", "s"], 5). The value is a YAML scalar or list, never an expression."""
    name, sign, value = text.partition("=")
    if not sign or not all(path := _path(name.strip())):
        raise InputError(f"{text!r} is not of the form field=value", field="set")
    if len(value) > LONGEST_VALUE:
        raise InputError(f"has more than {LONGEST_VALUE} characters", field=name)
    try:
        return path, load_plain(value, MAX_EVENTS)
    except InputError as error:
        raise error.within(field=name) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{value[:80]!r} is not a value", field=name) from error


def _path(name: str) -> list[str]:
    """``"settings.migc.migc_steps"`` in its parts; a model's name is one of them, whatever dots it has."""
    for model in MODELS:
        if name.startswith(f"settings.{model}."):
            return ["settings", model, *name.removeprefix(f"settings.{model}.").split(".")]
    return name.split(".")


def changes_of(overrides: Sequence[str]) -> list[tuple[list[str], Any]]:
    """Paths and values in the order in which they are applied: what is set of all models before what is set of one."""

    def place(change: tuple[list[str], Any]) -> int:
        path = change[0]
        return 0 if path[0] != "settings" else 1 if path[1:2] == ["all"] else 2

    return sorted(map(parse_override, overrides), key=place)


def overridden(content: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """With a field replaced; ``settings.all`` is that of each of the models, whatever a preset says of one.

    An aggregation that names its semantics is a whole one, and keeps nothing of another's.
    """
    if list(path) == ["aggregation"] and isinstance(value, dict) and "semantics" in value:
        return {**content, "aggregation": value}
    models = content.get("models")
    if list(path[:2]) == ["settings", "all"] and isinstance(models, list | tuple):
        changes = {str(model): _nested(path[2:], value) for model in models}
        return merged(content, {"settings": changes})
    return merged(content, _nested(path, value))


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on ``base``, dictionaries within dictionaries too."""
    result = dict(base)
    for name, value in over.items():
        known = result.get(name)
        result[name] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result
