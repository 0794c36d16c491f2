"""Profiles: which models and methods there are, and their settings, read from YAML and checked field by field."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from amdm.aggregation import SEMANTICS, AggregationConfig
from amdm.errors import InputError

PROFILES = ("mini", "paper")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(_Strict):
    """Of one model, alone or as a member of a method."""

    num_inference_steps: int = Field(gt=0, le=1000)
    guidance_scale: float = Field(ge=0, le=100)


class AggregationSettings(_Strict):
    """An :class:`AggregationConfig` as one of the named semantics with fields overridden."""

    semantics: Literal["paper", "official"]
    s: int
    weights: tuple[float, ...]
    eta: tuple[float, ...]
    eta_unit: Literal["latent", "sqrt_dim"] = "latent"
    initial_noise: Literal["shared", "separate"] | None = None
    first_step: int | None = None
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
    """A method: its models, the target first, and how they are aggregated.

    phrases: what the models read of a label "a <colour> <category>": all of it, or "a <category>" alone. The caption
    is always read whole.
    """

    models: tuple[str, ...] = Field(min_length=1)
    phrases: Literal["label", "category"] = "label"
    aggregation: AggregationSettings | None = None


class Profile(_Strict):
    """One file of presets."""

    height: int
    width: int
    negative_prompt: str
    models: dict[str, ModelSettings]
    methods: dict[str, MethodSettings]

    def method(self, name: str) -> MethodSettings:
        """The settings of a method. Raises InputError naming the methods there are."""
        if name not in self.methods:
            raise InputError(f"unknown method {name!r}; there are: {', '.join(self.methods)}", field="methods")
        return self.methods[name]

    def describe(self, name: str) -> dict[str, Any]:
        """Everything that decides what a method computes, as plain JSON."""
        method = self.method(name)
        used = {model: self.models[model].model_dump() for model in dict.fromkeys(method.models)}
        shared = {key: getattr(self, key) for key in ("height", "width", "negative_prompt")}
        return {**shared, **method.model_dump(mode="json"), "model_settings": used}


def load_profile(name: str) -> Profile:
    """The presets of a profile. Raises InputError for an unknown one, or naming the field that is wrong."""
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}; there are: auto, {', '.join(PROFILES)}", field="profile")
    path = files("amdm.presets") / f"{name}.yaml"
    try:
        return Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"], file=path, field=".".join(map(str, first["loc"]))) from error
