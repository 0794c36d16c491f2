"""What advice is asked for: models with their settings, probe layouts, and the layouts of the confirming run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from amdm.errors import InputError, unknown
from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings
from bench.job.conditions import asked_of, check_conditions, unread
from bench.layouts.layout_set import LayoutSet, content_hash
from bench.layouts.named import load_layouts
from bench.studies.advise_rules import order_of
from bench.studies.layouts import check_apart, check_judged
from bench.studies.settings import as_preset, plain_aggregation, with_models

MOST_PROBES = 24
PROFILE = "mini"
PUBLISHED = {2: "interactdiffusion+migc", 3: "interactdiffusion+migc+ip-adapter"}
"""The preset that has the authors' setting, by the number of models."""
Method = dict[str, Any]
"""As it stands in a file of presets."""


@dataclass(frozen=True)
class Request:
    """models: two or three different ones, the target first. changes: of each, what differs from the profile's
    settings. steps: T. probes, confirming: layouts without any in common."""

    presets: Profile
    models: tuple[str, ...]
    changes: dict[str, dict[str, Any]]
    steps: int
    probes: LayoutSet
    confirming: LayoutSet

    @classmethod
    def of(
        cls,
        models: str | Sequence[str],
        layouts: str,
        limit: int,
        confirm: str | None,
        confirm_limit: int | None,
        overrides: Sequence[str],
    ) -> Request:
        """As of :func:`bench.studies.advise.advise`, checked."""
        presets = load_profile(PROFILE)
        settings = _settings(presets, models, overrides)
        if settings.steps < 2:
            raise InputError("leaves no window and hand-over; take 2 or more", field="num_inference_steps")
        probes, confirming = _layouts(layouts, limit, confirm, confirm_limit)
        deciding, there = (order_of(one, settings.models) for one in (probes, confirming))
        if deciding != there:
            what = f"are judged by {', '.join(there)}, and the probes by {', '.join(deciding)}"
            raise InputError(what, field="confirm")
        for one in (probes, confirming):
            check_judged(one)
            alone = {name: (name,) for name in settings.models}
            check_conditions(one, alone, {name: unread((name,), ("interactions", "style")) for name in alone})
        usual = {name: _plain(as_preset(presets, {"models": [name]}), name) for name in settings.models}
        changes = {
            name: {k: v for k, v in _plain(settings, name).items() if usual[name][k] != v} for name in settings.models
        }
        return cls(presets, settings.models, changes, settings.steps, probes, confirming)

    def method(self, models: Sequence[str], aggregation: Method | None = None) -> Method:
        """Some of the models, alone or with an aggregation, with their settings."""
        own = {name: self.changes[name] for name in models if self.changes[name]}
        aggregated = {} if aggregation is None else {"aggregation": aggregation}
        return {**with_models(models, self.probes), **({"settings": own} if own else {}), **aggregated}

    @property
    def unread(self) -> tuple[str, ...]:
        """Of what the layouts ask for, what none of the models reads; it is drawn by chance, and not judged."""
        return unread(self.models, asked_of(self.probes))

    @property
    def published(self) -> Method:
        """The authors' aggregation, with their s where T allows it."""
        found = plain_aggregation(self.presets.method(PUBLISHED[len(self.models)]))
        return {**found, "s": min(found["s"], self.steps - 1)}


def _settings(presets: Profile, models: str | Sequence[str], overrides: Sequence[str]) -> MethodSettings:
    """Of a preset of several models, or of models as the profile has them; with overrides of models' settings."""
    if strange := [text for text in overrides if not text.strip().startswith("settings.")]:
        raise InputError("is what is advised on; set takes settings.<model>.<field>=<value>", field=strange[0])
    preset = models if isinstance(models, str) and models in presets.methods else None
    if preset is None:
        listed = models.split(",") if isinstance(models, str) else models
        named = tuple(one.strip() for one in listed)
    else:
        named = presets.methods[preset].models
    _check_models(presets, named)
    # any composition does here; it stands for those that are tried
    aggregation = {"semantics": "mean-epsilon", "weights": [1.0] * len(named)}
    if preset is not None:
        return presets.method(preset, [*overrides, f"aggregation={json.dumps(aggregation)}"])
    method = {"models": list(named), "aggregation": aggregation}
    content = {"common": presets.common, "models": presets.models, "methods": {"advised": method}}
    return Profile(content).method("advised", overrides)


def _check_models(presets: Profile, named: Sequence[str]) -> None:
    if strange := [name for name in named if name not in presets.models]:
        raise unknown("model", strange[0], presets.models, field="models")
    if len(named) not in PUBLISHED:
        raise InputError(f"names {len(named)}; advice is on two or three, with commas", field="models")
    if len(set(named)) < len(named):
        raise InputError("names a model twice", field="models")


def _plain(settings: MethodSettings, name: str) -> dict[str, Any]:
    return settings.settings[name].model_dump(mode="json")


def _layouts(name: str, limit: int, confirm: str | None, confirm_limit: int | None) -> tuple[LayoutSet, LayoutSet]:
    """Probes, and others: a set's first, or what the probes leave of theirs."""
    if not 1 <= limit <= MOST_PROBES:
        raise InputError(f"is {limit}; probes are 1 to {MOST_PROBES} layouts", field="limit")
    whole = load_layouts(name)
    probes = whole.first(limit)
    if confirm is None:
        known = {content_hash([entry]) for entry in probes.entries}
        left = tuple(entry for entry in whole.entries if content_hash([entry]) not in known)
        if not left:
            raise InputError("holds no layout beside the probes; name others with confirm", field="layouts")
        others = replace(whole, entries=left)
    else:
        try:
            others = load_layouts(confirm)
        except InputError as error:
            raise error if error.file else InputError(error.what, field="confirm") from None
    others = others if confirm_limit is None else others.subset(confirm_limit)
    check_apart(probes, others, "the probe layouts", "confirm")
    return probes, others
