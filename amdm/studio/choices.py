"""What is chosen on the page beside the drawing: models, composition, s, w, η, T and seed; and the runs that follow."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from amdm.compositions.registry import COMPOSITIONS, composition_type
from amdm.errors import InputError, unknown
from amdm.models.registry import MODELS
from amdm.plain_number import plain
from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings

MAX_STEPS = 200
MAX_SEED = 2**32 - 1
LONGEST_LIST = 200
"""Characters of a list of numbers."""
AUTHORS = "official"
_USUAL_W = {"mean-epsilon": 1.0, "composable": 1.0, "projective": 1.0}
_PARTICLES = 4
"""Of FKC, as in its mini preset; it has no default."""


@dataclass(frozen=True)
class Run:
    """One picture: a preset of the profile, and what differs from it, as :meth:`amdm.AMDMPipeline.from_pretrained`
    takes it.

    title: for people. models: the target first.
    """

    title: str
    preset: str
    models: tuple[str, ...]
    overrides: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """What its picture is saved as."""
        return f"{'+'.join(self.models)}.png"


@dataclass(frozen=True)
class Choices:
    """Checked. semantics: the composition. s: None where the composition takes every step. weights, eta: may be empty.

    Raises:
        InputError: in plain words, for what cannot be.
    """

    profile: str
    target: str
    auxiliaries: tuple[str, ...] = ()
    semantics: str = AUTHORS
    s: int | None = 3
    weights: tuple[float, ...] = ()
    eta: tuple[float, ...] = ()
    steps: int = 20
    seed: int = 0
    known: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", models_of(self.profile))
        for name in (self.target, *self.auxiliaries):
            if name not in self.known:
                raise unknown("model", name, self.known)
        if self.target in self.auxiliaries:
            raise InputError(f"{self.target} is the target, and an auxiliary too: untick it, or take another target")
        if self.semantics not in COMPOSITIONS:
            raise unknown("composition", self.semantics, COMPOSITIONS)
        _check_range("T", self.steps, 1, MAX_STEPS)
        _check_range("seed", self.seed, 0, MAX_SEED)
        if self.s is not None:
            _check_range("s", self.s, 0, MAX_STEPS)

    @classmethod
    def read(cls, profile: str, target: Any, auxiliaries: Any, semantics: Any, **texts: Any) -> Choices:
        """From what the page's fields hold: ``s``, ``weights``, ``eta``, ``steps`` and ``seed`` as numbers or texts.

        Auxiliaries are in the profile's order, whatever order they were ticked in.

        Raises:
            InputError: naming the field.
        """
        ticked = auxiliaries if isinstance(auxiliaries, list | tuple) else ()
        known = models_of(profile)
        if strange := [name for name in ticked if name not in known]:
            raise unknown("model", strange[0], known)
        return cls(
            profile,
            str(target),
            tuple(name for name in known if name in ticked),
            str(semantics),
            _whole("s", texts.get("s"), may_lack=True),
            _numbers("w", texts.get("weights")),
            _numbers("η", texts.get("eta")),
            _whole("T", texts.get("steps")) or 0,
            _whole("seed", texts.get("seed")) or 0,
        )

    def runs(self, given: Sequence[str]) -> list[Run]:
        """The target alone, each auxiliary alone, and with auxiliaries all of them together.

        Args:
            given: the conditions of the drawing ("instances", "interactions", "style"). What a run's models do not
                read is ignored on purpose; a model that needs a style picture is left out alone where there is none.

        Raises:
            InputError: the settings do not fit together, or IP-Adapter lacks its style picture.
        """
        models = (self.target, *self.auxiliaries)
        if "style" not in given and "style" in _reads(models):
            raise InputError("IP-Adapter draws in the style of a picture: give a style picture, or untick it")
        steps = f"settings.all.num_inference_steps={self.steps}"
        found = [self._run(f"{name} alone", name, (name,), [steps], given) for name in models]
        if self.auxiliaries:
            preset = self._preset(models)
            changes = [steps, *self._aggregation(preset)]
            if load_profile(self.profile).methods[preset].models != models:
                changes.insert(0, f"models={json.dumps(models)}")
            found.append(self._run("together", preset, models, changes, given))
        return found

    def _run(self, title: str, preset: str, models: tuple[str, ...], changes: list[str], given: Sequence[str]) -> Run:
        if ignored := [one for one in given if one not in _obeyed(models)]:
            changes = [*changes, f"ignores={json.dumps(ignored)}"]
        return Run(title, preset, models, _needed(_profile(self.profile), preset, changes))

    def _preset(self, models: tuple[str, ...]) -> str:
        """The preset that is nearest: of these models and this composition, else of these models, else any."""
        found = _aggregates(self.profile)
        own = {name: one for name, one in found.items() if one.models == models}
        same = [name for name, one in own.items() if _semantics(one) == self.semantics]
        return next(iter([*same, *own, *found]))

    def _aggregation(self, preset: str) -> list[str]:
        """What the composition's fields are to be; fields that the preset has so already are dropped later."""
        values = _composition_values(self)
        if _semantics(_profile(self.profile).methods[preset]) == self.semantics:
            return [f"aggregation.{name}={json.dumps(value)}" for name, value in values.items() if name != "semantics"]
        return [f"aggregation={json.dumps(values)}"]


def models_of(profile: str) -> tuple[str, ...]:
    """The models that a profile's methods have, the usual target first."""
    used = {model for one in _profile(profile).methods.values() for model in one.models}
    first = ("interactdiffusion", "migc", "ip-adapter")
    return tuple(name for name in (*first, *(one for one in MODELS if one not in first)) if name in used)


def usual(profile: str, models: Sequence[str], semantics: str) -> dict[str, Any]:
    """What the fields hold before anything is typed: ``s``, ``weights``, ``eta`` (texts, "" where the composition has
    no such field), ``steps``, and ``fields``, the composition's; of the profile's preset for these models, or of a
    rule.

    Raises:
        InputError: an unknown composition.
    """
    fields, count = _fields(semantics), len(models)
    near = [one for one in _aggregates(profile).values() if len(one.models) == count and _semantics(one) == semantics]
    exact = [one for one in near if one.models == tuple(models)]
    own: Mapping[str, Any] = (exact or near)[0].describe()["aggregation"] if near else {}
    weight_count = count if semantics in ("mean-epsilon", "composable", "fkc") else count - 1
    weight = _USUAL_W.get(semantics, 1 / count if semantics == "fkc" else 0.5)
    weights = own.get("weights", own.get("gamma", [weight] * weight_count))
    eta = [0.3516, *[0.4297] * (count - 1)]
    if own.get("eta") and own.get("eta_unit") == "sqrt_dim":
        eta = own["eta"]
    steps = next(iter(_profile(profile).methods.values())).steps
    return {
        "s": own.get("s", None if semantics in _EVERY_STEP and semantics != "switch" else 3) if "s" in fields else None,
        "weights": _text(weights) if fields & {"weights", "gamma"} else "",
        "eta": _text(eta) if "eta" in fields else "",
        "steps": steps,
        "fields": fields,
    }


def _composition_values(choices: Choices) -> dict[str, Any]:
    """The fields of the chosen composition. Raises InputError for a number that it would ignore, or lacks."""
    fields = _fields(choices.semantics)
    weights = next((name for name in ("weights", "gamma") if name in fields), None)
    values: dict[str, Any] = {"semantics": choices.semantics}
    for shown, name, value in (("s", "s", choices.s), ("w", weights, choices.weights), ("η", "eta", choices.eta)):
        if name is None or name not in fields:
            if value not in (None, ()):
                raise InputError(f"{choices.semantics} has no {shown}: leave it empty")
        elif value is not None:
            values[name] = list(value) if isinstance(value, tuple) else value
        elif choices.semantics not in _EVERY_STEP:
            raise InputError(f"{choices.semantics} needs {shown}, a number of steps")
    if "eta" in values:
        values["eta_unit"] = "sqrt_dim"
    if "particles" in fields:
        values["particles"] = _PARTICLES
    return values


_EVERY_STEP = tuple(name for name in COMPOSITIONS if name not in ("paper", "official", "slerp", "true-slerp", "lol"))
"""Compositions that take every step where s is not given."""


@cache
def _profile(name: str) -> Profile:
    return load_profile(name)


@cache
def _fields(semantics: str) -> frozenset[str]:
    return frozenset(composition_type(semantics).model_fields)


def _aggregates(profile: str) -> dict[str, MethodSettings]:
    """Presets of several models that read whole phrases, ignore nothing, and have noise of their own."""
    return {
        name: one
        for name, one in _profile(profile).methods.items()
        if one.aggregation is not None and one.phrases == "label" and one.noise_seed is None and not one.ignores
    }


def _semantics(settings: MethodSettings) -> str:
    return settings.aggregation.semantics if settings.aggregation is not None else ""


def _reads(models: Sequence[str]) -> frozenset[str]:
    from amdm.models.registry import model_spec

    return frozenset[str]().union(*(model_spec(name).kind.reads for name in models))


def _obeyed(models: Sequence[str]) -> frozenset[str]:
    from amdm.models.registry import model_spec

    return _reads(models).union(*(model_spec(name).kind.ignores_on_purpose for name in models))


def _needed(profile: Profile, preset: str, changes: Sequence[str]) -> tuple[str, ...]:
    """The changes without those that change nothing. Raises InputError for settings that do not fit together."""
    kept = list(changes)
    try:
        wanted = profile.method(preset, kept).describe()
    except InputError as error:
        raise _plain_words(error) from None
    for one in changes:
        others = [other for other in kept if other is not one]
        try:
            if profile.method(preset, others).describe() == wanted:
                kept = others
        except InputError:  # it is needed: without it the others do not fit
            continue
    return tuple(kept)


def _plain_words(error: InputError) -> InputError:
    """Of a preset's field, by the name that it has on the page."""
    parts = re.split(r"[.\[\]]+", error.field or "")
    last = next((part for part in reversed(parts) if part and not part.isdigit()), "")
    shown = {"weights": "w", "gamma": "w", "eta": "η", "num_inference_steps": "T"}.get(last, last)
    what = re.sub(r"^(?:weights|gamma|eta)(?:\[\d+\])?: ", "", error.what)  # a message may begin with the field's name
    return InputError(what, field=shown or None)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; it must lie in {low} … {high}")


def _whole(name: str, value: Any, may_lack: bool = False) -> int | None:
    value = plain(value)
    if may_lack and value in (None, ""):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be a whole number")
    return value


def _numbers(name: str, text: Any) -> tuple[float, ...]:
    """``"0.5, 0.47"`` → (0.5, 0.47); "" → ()."""
    if text in (None, ""):
        return ()
    form = "must be numbers with commas between them, for example 0.5"
    if not isinstance(text, str) or len(text) > LONGEST_LIST:
        raise InputError(f"{name} {form}")
    try:
        found = tuple(float(part) for part in text.replace("[", "").replace("]", "").split(","))
    except ValueError:
        raise InputError(f"{name} is {text!r}; it {form}") from None
    if not all(map(math.isfinite, found)):
        raise InputError(f"{name} is {text!r}; it {form}")
    return found


def _text(numbers: Sequence[float]) -> str:
    return ", ".join(f"{round(one, 6):g}" for one in numbers)
