"""Methods that no file of presets has, as studies try them, and what the layouts of a study must be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from amdm.errors import InputError, unknown
from amdm.presets.profile import Profile
from amdm.presets.settings import MethodSettings
from bench.cocomig.metrics import METRICS
from bench.detectors.detector import DetectorOptions
from bench.detectors.registry import check_words
from bench.job.conditions import asked_of, unread
from bench.layouts.layout_set import LayoutSet, content_hash

Method = dict[str, Any]
"""As it stands in a file of presets."""
DETECTOR = DetectorOptions()
"""Of every study: the mini world's."""


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


def check_judged(layout_set: LayoutSet) -> None:
    """Raise InputError, before anything is drawn, for words that the judge of studies cannot read."""
    check_words(DETECTOR.name, layout_set)


def check_apart(chosen_on: LayoutSet, others: LayoutSet, what: str, field: str) -> None:
    """Raise InputError for a layout that settings are chosen on and confirmed on; its content counts, not its name.

    Args:
        what: how the message calls ``chosen_on``. field: the argument that names ``others``.
    """
    known = {content_hash([entry]) for entry in chosen_on.entries}
    if common := [entry.key for entry in others.entries if content_hash([entry]) in known]:
        holds = f"holds {len(common)} of {what}, the first {common[0][:80]!r}"
        raise InputError(f"{holds}; a result on them confirms nothing", field=field)


def check_metric(name: str, layout_set: LayoutSet, field: str) -> None:
    """Raise InputError for a metric of what the layouts do not ask for.

    Args:
        name: of :data:`bench.cocomig.metrics.METRICS`. field: the argument that names the layouts.
    """
    interactions = any(entry.actions for entry in layout_set.entries)
    lacking = {
        "action_given_place": ("no interaction", interactions),
        "joint_interaction": ("no interaction", interactions),
        "style": ("no style", any(entry.asks_style for entry in layout_set.entries)),
        "joint_picture": ("neither interactions nor styles", layout_set.asks_conditions),
        "colour_given_place": ("no colour", any(one.colour for entry in layout_set.entries for one in entry.labels)),
    }
    nothing, asked = lacking.get(name, ("", True))
    if not asked:
        raise InputError(f"ask for {nothing} that is judged, and {METRICS[name].label} is of that", field=field)
