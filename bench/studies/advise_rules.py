"""What advice is asked for, and its rules: what decides, which window, which η, and compositions at equal cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pandas as pd

from amdm.compositions.registry import composition_type
from amdm.errors import InputError, unknown
from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings
from bench.generators.pull_back import DISTANCE
from bench.job.conditions import asked_of, check_conditions, unread
from bench.layouts.layout_set import LayoutSet, content_hash
from bench.layouts.named import load_layouts
from bench.studies.settings import Method, as_preset, check_apart, check_judged, plain_aggregation, with_models

LETTER, AUTHORS = "the letter", "the authors' code"
NOISE = ("shared", "separate")
WEIGHTS = (0.5, 0.7071, 0.85)
"""w, the target's coefficient: the published one, one as large as the auxiliary's, and more of the target."""
EVEN = WEIGHTS[1]
"""What distances are measured at."""
LATEST_START = 3
USUAL_END = 3
"""The published s: where no curve says more, the window is so many steps from the first on."""
HALF = 0.5
"""Of the distance to the mean: the η that is tried beside 0, and goes past the mean in no step on average."""
Aggregation = dict[str, Any]
"""Of a :data:`bench.studies.settings.Method`."""
MAX_PROBES = 24
PROFILE = "mini"
PUBLISHED = {2: "interactdiffusion+migc", 3: "interactdiffusion+migc+ip-adapter"}
"""The preset that has the authors' setting, by the number of models."""


@dataclass(frozen=True)
class Window:
    """Steps first_step … end − 1. metric: whose curve chose it; None where none goes above the target alone."""

    first_step: int
    end: int
    metric: str | None = None

    @property
    def s(self) -> int:
        """Its number of steps."""
        return self.end - self.first_step


def order_of(layout_set: LayoutSet, models: Sequence[str]) -> list[str]:
    """The metrics that decide, the first that differs: joint by interaction, joint by picture, then single properties.
    Of interactions and styles only where some model reads them: without, differences are chance."""
    asked = asked_of(layout_set)
    ignored = unread(models, asked)
    own = {"instances": "isr", "interactions": "action_given_place", "style": "style"}
    interactions = "interactions" not in ignored and any(entry.actions for entry in layout_set.entries)
    styles = "style" not in ignored and any(entry.asks_style for entry in layout_set.entries)
    judged = {"instances": True, "interactions": interactions, "style": styles}
    joint = [name for name, there in (("joint_interaction", interactions), ("joint_picture", styles)) if there]
    joint = joint or ["isr"]
    return list(dict.fromkeys([*joint, *(own[one] for one in asked if judged[one] and one not in ignored)]))


def choose_window(curves: pd.DataFrame, order: Sequence[str]) -> Window:
    """Between which two k the mean curve of the auxiliaries rises most, by the first of the metrics whose curve goes
    above the target alone (k = 0) at all.

    The window does not begin after :data:`LATEST_START`. It does not end with k = 1, which is too early for the
    authors' code, or with T, where nothing is left to the target. Of equal rises the one that ends first, which costs
    least.

    Args:
        curves: columns k, from 0 to T, and the metrics; a row for each auxiliary and k.
    """
    steps = sorted(curves["k"].unique())
    ends = [k for k in steps if 2 <= k < steps[-1]] or [steps[-1]]
    mean = curves.groupby("k")[list(order)].mean()
    for metric in order:
        curve = mean[metric].fillna(0.0)
        rises = [
            (float(curve[end] - curve[first]), -end, -first)
            for end, first in product(ends, steps)
            if first < end and first <= LATEST_START and curve[end] > curve[0]
        ]
        if rises:
            _, end, first = max(rises)
            return Window(-int(first), -int(end), metric)
    return Window(0, min(USUAL_END, int(ends[-1])))


def half_way(distances: pd.DataFrame, models: Sequence[str]) -> list[float]:
    """Of each model half of its smallest distance over the steps, over √dim.

    Args:
        distances: of :func:`bench.report.ablation.distances_by_step`, of one method.
    """
    nearest = distances.groupby("model")[DISTANCE].min()
    return [round(HALF * float(nearest[name]), 4) for name in models]


def weights_of(w: float, models: int) -> list[float]:
    """The weights with which the target has the coefficient ``w`` and the auxiliaries equal ones; Σ c² = 1.

    >>> weights_of(0.5, 2), [round(one, 4) for one in weights_of(0.5, 3)]
    ([0.5], [0.6325, 0.7906])
    """
    if models == 2:
        return [w]
    second = math.sqrt((1 + w * w) / 2)
    return [w / second, second]


def letter(window: Window, w: float, eta: Sequence[float], noise: str) -> Aggregation:
    """The paper's letter. eta: over √dim, the target's first."""
    own = {"first_step": window.first_step, "s": window.s, "weights": _rounded(weights_of(w, len(eta)))}
    return {"semantics": "paper", "initial_noise": noise, **own, "eta": list(eta), "eta_unit": "sqrt_dim"}


def short_list(
    window: Window, eta: Sequence[float], noise: str, published: Mapping[str, Any], steps: int
) -> dict[str, Aggregation]:
    """By name, compositions that cost no more than the letter: each has the longest window from the same step that
    those evaluations allow, but for switch, which costs T whatever it does.

    Args:
        eta, noise: of the letter. published: the authors' setting, whose η their code has.
    """
    models, found = len(eta), dict[str, Aggregation]()
    first = {"first_step": window.first_step}
    theirs = {"semantics": "official", "first_step": max(1, window.first_step), "eta": published["eta"]}
    for w in WEIGHTS:
        weights = _rounded(weights_of(w, models))
        shares = _rounded([w, *[(1 - w) / (models - 1)] * (models - 1)])
        found[f"{LETTER}, w {w:g}"] = letter(window, w, eta, noise)
        fitting = {
            f"{AUTHORS}, w {w:g}": {**theirs, "eta_unit": published["eta_unit"], "weights": weights},
            f"slerp, w {w:g}": {"semantics": "slerp", **first, "weights": weights},
            f"mean-epsilon, w {w:g}": {"semantics": "mean-epsilon", **first, "weights": shares},
        }
        found |= {name: longest(one, models, steps, most_of(window, models, steps)) for name, one in fitting.items()}
    found["switch"] = {"semantics": "switch", **first, "s": window.s}
    return found


def most_of(window: Window, models: int, steps: int) -> int:
    """Evaluations a picture of the letter, which the others may have.

    >>> most_of(Window(1, 4), 2, 20)
    24
    """
    return steps + window.end * (models - 1)


def longest(aggregation: Aggregation, models: int, steps: int, most: int) -> Aggregation:
    """With the largest s, at least 1, whose evaluations are no more than ``most``."""
    for s in range(steps - int(aggregation["first_step"]), 1, -1):
        tried = {**aggregation, "s": s}
        composition = composition_type(tried["semantics"]).model_validate(tried)
        if sum(composition.evaluations(models, steps)) <= most:
            return tried
    return {**aggregation, "s": 1}


def best_of(table: pd.DataFrame, order: Sequence[str]) -> str:
    """The row (its name) with the fewest failed pictures, then most of the first metric that differs; of equal ones the
    first. A metric without a value counts as less than any."""
    shown = [name for name in order if name in table]
    ranked = table[["failed", *shown]].fillna(-1.0)
    ascending = [True, *[False] * len(shown)]
    return str(ranked.sort_values(["failed", *shown], ascending=ascending, kind="stable").index[0])


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [round(one, 4) for one in numbers]


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
    if not 1 <= limit <= MAX_PROBES:
        raise InputError(f"is {limit}; probes are 1 to {MAX_PROBES} layouts", field="limit")
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
    if confirm_limit is not None and confirm_limit < 1:
        raise InputError(f"is {confirm_limit}; a confirming run has 1 layout or more", field="confirm_limit")
    others = others if confirm_limit is None else others.subset(confirm_limit)
    check_apart(probes, others, "the probe layouts", "confirm")
    return probes, others
