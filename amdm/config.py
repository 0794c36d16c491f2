"""Profiles: which models and methods there are, and their settings, read from YAML and checked field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from amdm.aggregation import SEMANTICS, AggregationConfig
from amdm.errors import InputError
from amdm.layout import whole_text
from amdm.plain_yaml import load_plain

PROFILES = ("mini", "paper")
LONGEST_VALUE = 10_000
MOST_EVENTS = 200
"""Of an override: characters, and events of the YAML parser."""


class _Strict(BaseModel):
    """Nothing unknown, and no value turned into one of another type: a text or true is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Count = Annotated[int, Field(ge=0, lt=2**31)]
Numbers = Annotated[tuple[float, ...], Field(strict=False)]  # JSON has lists, no tuples
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class ModelSettings(_Strict):
    """Of one model, alone or as a member of a method."""

    num_inference_steps: int = Field(gt=0, le=1000)
    guidance_scale: float = Field(ge=0, le=100)
    scheduler: Literal["ddim", "euler"] = "ddim"


class InteractDiffusionSettings(ModelSettings):
    """fuser_beta: share of the steps in which the grounding is on (scheduled sampling)."""

    fuser_beta: float = Field(default=1.0, ge=0, le=1)


class GLIGENSettings(ModelSettings):
    """fuser_beta: share of the steps in which the grounding is on (scheduled sampling)."""

    fuser_beta: float = Field(default=0.3, ge=0, le=1)


class MIGCSettings(ModelSettings):
    """MIGC works in the steps i ≤ migc_steps, then its naive fuser while i ≤ naive_fuser_steps.

    and_augmentation: phrases repeated and joined by ", and ", as MIGC's benchmark script does.
    """

    migc_steps: int = Field(default=20, ge=-1, le=1000)
    naive_fuser_steps: int = Field(default=-1, ge=-1, le=1000)
    and_augmentation: bool = False


class IPAdapterSettings(ModelSettings):
    """scale: weight of the attention to the style image."""

    scale: float = Field(default=0.8, ge=0, le=10)


SETTINGS_OF: dict[str, type[ModelSettings]] = {
    "stable_diffusion": ModelSettings,
    "interactdiffusion": InteractDiffusionSettings,
    "gligen": GLIGENSettings,
    "migc": MIGCSettings,
    "ip-adapter": IPAdapterSettings,
}


class AggregationSettings(_Strict):
    """An :class:`AggregationConfig` as one of the named semantics with fields overridden."""

    semantics: Literal["paper", "official"]
    s: Count
    weights: Numbers
    eta: Numbers
    eta_unit: Literal["latent", "sqrt_dim"] = "latent"
    initial_noise: Literal["shared", "separate"] | None = None
    first_step: Count | None = None
    mean: Literal["ddim", "ddpm_previous"] | None = None
    coefficients: Literal["nested", "official"] | None = None
    mix_norm: Literal["as_is", "preserving"] = "as_is"
    pull_back: bool = True

    def config(self) -> AggregationConfig:
        """The aggregation it describes."""
        fields = {k: v for k, v in self.model_dump().items() if v is not None and k != "semantics"}
        s, weights, eta = (fields.pop(name) for name in ("s", "weights", "eta"))
        return SEMANTICS[self.semantics](s, weights, eta, **fields)


class MethodSettings(_Strict):
    """A method with everything that decides what it computes.

    models: the target first. settings: of each of them.
    phrases: what the models read of a label "a <colour> <category>": all of it, or "a <category>" alone. The caption
    is always read whole.
    noise_seed: None gives each sample random numbers of its own; a number gives all samples the same ones.
    """

    models: Names
    settings: dict[str, ModelSettings]
    height: int = Field(gt=0, le=4096, multiple_of=8)
    width: int = Field(gt=0, le=4096, multiple_of=8)
    negative_prompt: Annotated[str, AfterValidator(whole_text)]
    phrases: Literal["label", "category"] = "label"
    noise_seed: Count | None = None
    aggregation: AggregationSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_settings(cls, content: Any) -> Any:
        """Each model's settings by the fields that this model has."""
        if isinstance(content, dict) and isinstance(content.get("settings"), dict):
            models = content.get("models")
            models = models if isinstance(models, list | tuple) else ()
            if strange := [name for name in content["settings"] if name not in models]:
                raise InputError("is no model of this method", field=f"settings.{strange[0]}")
            read = {name: _model_settings(name, values) for name, values in content["settings"].items()}
            content = {**content, "settings": read}
        return content

    @model_validator(mode="after")
    def _settings_fit(self) -> MethodSettings:
        """Settings of every model of the method, and of no other: nothing that is set is ignored."""
        for name in self.models:
            if name not in self.settings:
                raise ValueError(f"settings.{name}: has no settings")
        if len(self.models) > 1 and self.aggregation is None:
            raise ValueError("aggregation: is needed for several models")
        if len({self.settings[name].num_inference_steps for name in self.models}) > 1:
            raise ValueError("settings.all.num_inference_steps: models that are aggregated take the same steps")
        self._check_aggregation()
        return self

    def _check_aggregation(self) -> None:
        if self.aggregation is not None:
            try:
                config = self.aggregation.config()
                config.check_models(len(self.models))
                config.steps(self.steps)
            except InputError as error:
                raise error.within(field="aggregation") from None

    @classmethod
    def read(cls, content: Mapping[str, Any], overrides: Sequence[str] = ()) -> MethodSettings:
        """From what :meth:`describe` gave, with overrides as of :meth:`Profile.method`.

        Raises:
            InputError: naming the field that is unknown or wrong.
        """
        for text in overrides:
            path, value = _override(text)
            content = _merged(content, _nested(path, value))
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise _first_fault(error, None, "settings") from None

    def changed(self, changes: Mapping[str, Any]) -> MethodSettings:
        """With some fields, of models too, replaced. Raises InputError as :meth:`read`."""
        return self.read(_merged(self.describe(), changes))

    @property
    def steps(self) -> int:
        """T: the target's."""
        return self.settings[self.models[0]].num_inference_steps

    def describe(self) -> dict[str, Any]:
        """As plain JSON."""
        plain = self.model_dump(mode="json", exclude={"settings"})
        return {**plain, "settings": {name: one.model_dump(mode="json") for name, one in self.settings.items()}}


class _File(_Strict):
    common: dict[str, Any]
    models: dict[str, dict[str, Any]]
    methods: dict[str, dict[str, Any]]


class Profile:
    """One file of presets: what methods have in common, the models' settings, and the methods.

    A method in the file names its models and what differs from the common: any field of :class:`MethodSettings`;
    ``settings`` may hold ``all`` for every model of the method.
    """

    def __init__(self, content: Mapping[str, Any], file: Any = None) -> None:
        try:
            read = _File.model_validate(content)
        except ValidationError as error:
            raise _first_fault(error, file, "") from None
        self.common, self.models, self._methods = read.common, read.models, read.methods
        self._file = file
        self.methods = {name: self.method(name) for name in self._methods}

    def method(self, name: str, overrides: Sequence[str] = ()) -> MethodSettings:
        """The settings of a method, with overrides ``"<field>=<value>"``: ``"aggregation.s=5"``,
        ``"settings.migc.guidance_scale=5"``, ``"settings.all.num_inference_steps=20"``.

        Raises:
            InputError: naming the methods there are, or the field that is unknown or wrong.
        """
        if name not in self._methods:
            raise InputError(f"unknown method {name!r}; {self._instead_of(name)}", field="methods")
        content: dict[str, Any] = _merged(self.common, self._methods[name])
        for text in overrides:
            path, value = _override(text)
            if path[0] == "aggregation" and content.get("aggregation") is None and len(content.get("models", ())) == 1:
                raise InputError("has one model, which aggregates nothing", field=f"methods.{name}.aggregation")
            content = _merged(content, _nested(path, value))
        try:
            return MethodSettings.model_validate({**content, "settings": self._settings(content)})
        except ValidationError as error:
            raise _first_fault(error, self._file if not overrides else None, f"methods.{name}") from None
        except InputError as error:
            raise error.within(file=self._file if not overrides else None, field=f"methods.{name}") from None

    def _instead_of(self, name: str) -> str:
        """What to write for a name that this profile does not have."""
        own = getattr(self._file, "stem", "")
        others = [one for one in PROFILES if own in PROFILES and one != own and name in load_profile(one).methods]
        if others:
            return f"it is one of the profile {others[0]} (--profile {others[0]}), not of {own}"
        close = get_close_matches(name, self._methods, 1)
        return (f"did you mean {close[0]}? " if close else "") + f"there are: {', '.join(self._methods)}"

    def several(self, names: Sequence[str], overrides: Sequence[str] = ()) -> dict[str, MethodSettings]:
        """The settings of methods that are compared. What is set of a model, or of the aggregation, goes to the methods
        that have it.

        Raises:
            InputError: as :meth:`method`, and for an override that concerns none of them.
        """
        own = {name: [text for text in overrides if self._concerns(name, text)] for name in names}
        found = {name: self.method(name, changes) for name, changes in own.items()}
        for text in overrides:
            if not any(text in changes for changes in own.values()):
                raise InputError(f"concerns none of the methods {', '.join(names)}", field=f"set {text}")
        return found

    def _concerns(self, name: str, override: str) -> bool:
        path, _ = _override(override)
        content: dict[str, Any] = _merged(self.common, self._methods.get(name, {}))
        if path[0] == "aggregation" and len(path) > 1:
            return content.get("aggregation") is not None
        if path[0] == "settings" and len(path) > 1 and path[1] in SETTINGS_OF:
            return path[1] in content.get("models", ())
        return True

    def _settings(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Of each model of a method: the profile's, then the method's of all its models, then those of this one."""
        own, asked = _mapping(content.get("settings", {}), "settings"), content.get("models")
        everyone = _mapping(own.pop("all", {}), "settings.all")
        for model in asked if isinstance(asked, list | tuple) else ():
            if isinstance(model, str):
                changes = _mapping(own.get(model, {}), f"settings.{model}")
                own[model] = _merged(_merged(self.models.get(model, {}), everyone), changes)
        return own


def load_profile(name: str) -> Profile:
    """The presets of a profile. Raises InputError for an unknown one, or naming the field that is wrong."""
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}; there are: auto, {', '.join(PROFILES)}", field="profile")
    path = files("amdm.presets") / f"{name}.yaml"
    return Profile(yaml.safe_load(path.read_text(encoding="utf-8")), path)


def _model_settings(name: str, values: Any) -> ModelSettings:
    if name not in SETTINGS_OF:
        raise InputError(f"unknown model {name!r}; there are: {', '.join(SETTINGS_OF)}", field="settings")
    try:
        return SETTINGS_OF[name].model_validate(values)
    except ValidationError as error:
        raise _first_fault(error, None, f"settings.{name}") from None


def _first_fault(error: ValidationError, file: Any, prefix: str) -> InputError:
    first = error.errors()[0]
    what = {
        "extra_forbidden": "is no field here; `amdm presets` prints those there are",
        "tuple_type": "must be a list, for example [0.5]",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    return InputError(
        what,
        file=file,
        field=".".join(filter(None, (prefix, *map(str, first["loc"])))),
    )


def _override(text: str) -> tuple[list[str], Any]:
    """``"aggregation.s=5"`` → (["aggregation", "s"], 5). The value is a YAML scalar or list, never an expression."""
    name, sign, value = text.partition("=")
    if not sign or not all(path := name.strip().split(".")):
        raise InputError(f"{text!r} is not of the form field=value", field="set")
    if len(value) > LONGEST_VALUE:
        raise InputError(f"has more than {LONGEST_VALUE} characters", field=name)
    try:
        return path, load_plain(value, MOST_EVENTS)
    except InputError as error:
        raise error.within(field=name) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{value[:80]!r} is not a value", field=name) from error


def _mapping(value: Any, field: str) -> dict[Any, Any]:
    """A copy. Raises InputError for anything else than a mapping."""
    if not isinstance(value, Mapping):
        raise InputError("must be a mapping", field=field)
    return dict(value)


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on ``base``, dictionaries within dictionaries too."""
    result = dict(base)
    for name, value in over.items():
        known = result.get(name)
        result[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result
