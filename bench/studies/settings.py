"""Methods that no file of presets has, as studies try them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from amdm.errors import unknown
from amdm.presets.profile import Profile
from amdm.presets.settings import MethodSettings
from bench.job.conditions import asked_of, unread
from bench.layouts.layout_set import LayoutSet


def with_models(models: Sequence[str], layout_set: LayoutSet) -> dict[str, Any]:
    """The beginning of a method as a file of presets has it: the models, the target first, and what they ignore of all
    that the layouts ask for."""
    return {"models": list(models), "ignores": list(unread(models, asked_of(layout_set)))}


def as_preset(presets: Profile, method: Mapping[str, Any]) -> MethodSettings:
    """The settings of a method as it stands in a file of presets, with what the profile's methods have in common.

    Raises:
        InputError: naming the field that is unknown or wrong.
    """
    content = {"common": presets.common, "models": presets.models, "methods": {"tried": dict(method)}}
    return Profile(content).method("tried")


def every_step(steps: int) -> dict[str, dict[str, int]]:
    """The settings of a method as a file of presets has them: T = ``steps`` of every model."""
    return {"all": {"num_inference_steps": steps}}


def check_models(presets: Profile, models: Iterable[str]) -> None:
    """Raise InputError for a model that the profile does not have."""
    for name in models:
        if name not in presets.models:
            raise unknown("model", name, presets.models, field="models")


def plain_aggregation(settings: MethodSettings) -> dict[str, Any]:
    """The aggregation of a method, as it stands in a file of presets; empty of a single model."""
    return settings.aggregation.model_dump(mode="json", exclude_defaults=True) if settings.aggregation else {}


def setting_text(method: Mapping[str, Any]) -> str:
    """What a method sets, on one line: its aggregation's fields, and those of its models."""
    chosen = dict(method.get("aggregation", {}))
    for model, own in method.get("settings", {}).items():
        chosen |= {f"{model}.{name}": value for name, value in own.items()}
    return ", ".join(f"{name} {value}" for name, value in chosen.items()) or "preset"


def presets_file(methods: Mapping[str, Mapping[str, Any]], about: str) -> str:
    """Methods as a file of presets. about: its first lines, without the signs of a comment."""
    head = "".join(f"# {line}\n" for line in about.splitlines())
    plain = json.loads(json.dumps({"methods": methods}))  # nothing stands in two places, which YAML would write once
    return head + str(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=110))
