"""Profiles: which models and methods there are, and their settings, read from YAML and checked field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from amdm.errors import InputError, unknown
from amdm.io.strict import Strict
from amdm.models.registry import MODELS
from amdm.presets.overrides import changes_of, merged, overridden, parse_override
from amdm.presets.settings import MethodSettings, first_fault

PROFILES = ("mini", "paper")
FORMER_NAMES = {"switch@combined": "mixed-then-target@combined"}
"""Of methods, as runs recorded them → as they are called now."""


class _File(Strict):
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
            raise first_fault(error, file, "", _File) from None
        self.common, self.models, self._methods = read.common, read.models, read.methods
        self._file = file
        self.methods = {name: self.method(name) for name in self._methods}

    def method(self, name: str, overrides: Sequence[str] = ()) -> MethodSettings:
        """The settings of a method, with overrides ``"<field>=<value>"``: ``"aggregation.s=5"``,
        ``"settings.migc.guidance_scale=5"``, ``"settings.all.num_inference_steps=20"``.

        Raises:
            InputError: naming the methods there are, or the field that is unknown or wrong.
        """
        content = self._content(name)
        if content is None:
            raise self._unknown(name)
        for path, value in changes_of(overrides):
            if path[0] == "aggregation" and content.get("aggregation") is None and len(content.get("models", ())) == 1:
                raise InputError("has one model, which aggregates nothing", field=f"methods.{name}.aggregation")
            content = overridden(content, path, value)
        try:
            return MethodSettings.model_validate({**content, "settings": self._settings(content)})
        except ValidationError as error:
            file = self._file if not overrides else None
            raise first_fault(error, file, f"methods.{name}", MethodSettings) from None
        except InputError as error:
            raise error.within(file=self._file if not overrides else None, field=f"methods.{name}") from None

    def _content(self, name: str) -> dict[str, Any] | None:
        """What the file says of a method, also by a name that it had before; None where it has no such method."""
        own = self._methods.get(name, self._methods.get(FORMER_NAMES.get(name, "")))
        return None if own is None else merged(self.common, own)

    def _unknown(self, name: str) -> InputError:
        """What to write for a name that this profile does not have."""
        own = getattr(self._file, "stem", "")
        others = [one for one in PROFILES if own in PROFILES and one != own and name in load_profile(one).methods]
        if others:
            what = f"it is one of the profile {others[0]} (--profile {others[0]}), not of {own}"
            return InputError(f"unknown method {name!r}; {what}", field="methods")
        return unknown("method", name, self._methods, field="methods")

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
        path, _ = parse_override(override)
        content = self._content(name) or {}
        if path[0] == "aggregation" and len(path) > 1:
            return content.get("aggregation") is not None
        if path[0] == "settings" and len(path) > 1 and path[1] in MODELS:
            return path[1] in content.get("models", ())
        return True

    def _settings(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Of each model of a method: the profile's, then the method's of all its models, then those of this one."""
        own, asked = _mapping(content.get("settings", {}), "settings"), content.get("models")
        everyone = _mapping(own.pop("all", {}), "settings.all")
        for model in asked if isinstance(asked, list | tuple) else ():
            if isinstance(model, str):
                changes = _mapping(own.get(model, {}), f"settings.{model}")
                own[model] = merged(merged(self.models.get(model, {}), everyone), changes)
        return own


def load_profile(name: str) -> Profile:
    """The presets of a profile, with those methods whose settings were chosen by measurement (``<name>-tuned.yaml``).

    The same object while the files are the same: a run asks for it several times.

    Raises:
        InputError: an unknown profile, or naming the field that is wrong.
    """
    if name not in PROFILES:
        raise unknown("profile", name, ("auto", *PROFILES), field="profile")
    path, tuned = Path(str(files("amdm.presets") / f"{name}.yaml")), tuned_path(name)
    chosen = tuned.read_text(encoding="utf-8") if tuned.is_file() else ""
    return _profile(path, path.read_text(encoding="utf-8"), chosen)


@lru_cache(maxsize=4)
def _profile(path: Path, text: str, tuned: str) -> Profile:
    content = yaml.safe_load(text)
    if tuned:
        content["methods"] |= yaml.safe_load(tuned)["methods"]
    return Profile(content, path)


def tuned_path(name: str) -> Path:
    """Where :func:`load_profile` looks for the methods of a profile whose settings were chosen by measurement."""
    return Path(str(files("amdm.presets") / f"{name}-tuned.yaml"))


def _mapping(value: Any, field: str) -> dict[Any, Any]:
    """A copy. Raises InputError for anything else than a mapping."""
    if not isinstance(value, Mapping):
        raise InputError("must be a mapping", field=field)
    return dict(value)
