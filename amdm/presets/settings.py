"""Settings of methods, models and aggregation, strictly typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, Field, SerializeAsAny, ValidationError, model_validator

from amdm.compositions.composition import Composition
from amdm.compositions.registry import COMPOSITIONS, composition_type
from amdm.compositions.single import Single
from amdm.errors import InputError, instead
from amdm.io.strict import Count, Strict
from amdm.layout import reject_lone_surrogates
from amdm.models.registry import settings_type
from amdm.models.settings import ModelSettings
from amdm.presets.overrides import changes_of, merged, overridden

Conditioning = Literal["instances", "interactions", "style"]
_Model = TypeVar("_Model", bound=BaseModel)
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class MethodSettings(Strict):
    """A method with everything that decides what it computes.

    models: the target first. settings: of each of them. aggregation: how several draw one picture together.
    phrases: what the models read of a label "a <colour> <category>": all of it, or "a <category>" alone. The caption
    is always read whole.
    noise_seed: None gives each sample random numbers of its own; a number gives all samples the same ones.
    ignores: conditions that none of the models reads and that layouts may hold all the same, on purpose.
    """

    models: Names
    settings: dict[str, ModelSettings]
    height: int = Field(gt=0, le=4096, multiple_of=8)
    width: int = Field(gt=0, le=4096, multiple_of=8)
    negative_prompt: Annotated[str, AfterValidator(reject_lone_surrogates)]
    phrases: Literal["label", "category"] = "label"
    noise_seed: Count | None = None
    ignores: Annotated[tuple[Conditioning, ...], Field(strict=False)] = ()
    aggregation: SerializeAsAny[Composition] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_settings(cls, content: Any) -> Any:
        """Each model's settings by the fields that this model has, and the composition's."""
        if isinstance(content, dict) and isinstance(content.get("settings"), dict):
            models = content.get("models")
            models = models if isinstance(models, list | tuple) else ()
            if strange := [name for name in content["settings"] if name not in models]:
                there = instead(strange[0], [str(name) for name in models])
                raise InputError(f"is not a model of this method; {there}", field=f"settings.{strange[0]}")
            read = {name: _model_settings(name, values) for name, values in content["settings"].items()}
            content = {**content, "settings": read}
        if isinstance(content, dict) and isinstance(content.get("aggregation"), Mapping):
            content = {**content, "aggregation": _composition(content["aggregation"])}
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
                self.aggregation.check(len(self.models), self.steps)
            except InputError as error:
                raise error.within(field="aggregation") from None

    @classmethod
    def read(cls, content: Mapping[str, Any], overrides: Sequence[str] = ()) -> MethodSettings:
        """From what :meth:`describe` gave, with overrides as of :meth:`amdm.presets.profile.Profile.method`.

        Raises:
            InputError: naming the field that is unknown or wrong.
        """
        for path, value in changes_of(overrides):
            content = overridden(content, path, value)
        return _validated(cls, content, "settings")

    def changed(self, changes: Mapping[str, Any]) -> MethodSettings:
        """With some fields, of models too, replaced. Raises InputError as :meth:`read`."""
        return self.read(merged(self.describe(), changes))

    @property
    def steps(self) -> int:
        """T: the target's."""
        return self.settings[self.models[0]].num_inference_steps

    @property
    def composition(self) -> Composition:
        """The aggregation, or what a single model does without one."""
        return self.aggregation or Single()

    def describe(self) -> dict[str, Any]:
        """As plain JSON; ``ignores`` where there is any."""
        plain = self.model_dump(mode="json", exclude={"settings"} if self.ignores else {"settings", "ignores"})
        return {**plain, "settings": {name: one.model_dump(mode="json") for name, one in self.settings.items()}}


def _composition(values: Mapping[str, Any]) -> Composition:
    if "semantics" not in values:
        raise InputError(f"is missing; {instead('', COMPOSITIONS)}", field="aggregation.semantics")
    try:
        kind = composition_type(values["semantics"])
    except InputError as error:
        raise error.within(field="aggregation") from None
    return _validated(kind, values, "aggregation")


def _model_settings(name: str, values: Any) -> ModelSettings:
    return _validated(settings_type(name), values, f"settings.{name}")


def _validated(kind: type[_Model], values: Any, prefix: str) -> _Model:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise first_fault(error, None, prefix, kind) from None


def first_fault(error: ValidationError, file: Any, prefix: str, kind: type[BaseModel]) -> InputError:
    """kind: what was validated."""
    first = error.errors()[0]
    place = first["loc"]
    if isinstance(inner := first.get("ctx", {}).get("error"), InputError):
        return inner.within(file=file, field=".".join(filter(None, (prefix, *map(str, place)))))
    if first["type"] == "extra_forbidden":
        what = f"is not a field here; {instead(place[-1], _fields(kind, place[:-1]))} (`amdm presets` prints them)"
    elif first["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        what = f"is {str(first['input'])[:80]!r}; {instead(first['input'], known)}"
    elif first["type"] == "tuple_type":
        what = "must be a list, for example [0.5]"
    else:
        what = first["msg"].removeprefix("Value error, ")
    return InputError(what, file=file, field=".".join(filter(None, (prefix, *map(str, place)))))


def _fields(kind: type[BaseModel], place: Sequence[Any]) -> list[str]:
    """The fields there are at a place of a model."""
    for name in place:
        choices = kind.model_fields[name].annotation
        kind = next(
            one for one in (choices, *get_args(choices)) if isinstance(one, type) and issubclass(one, BaseModel)
        )
    return list(kind.model_fields)
