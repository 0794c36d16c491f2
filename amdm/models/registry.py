"""Control models by name. A new one is one file with a SPEC, and one line here."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, NamedTuple

from amdm.errors import unknown
from amdm.models.settings import ModelSettings

if TYPE_CHECKING:  # presets are read without any network
    from amdm.models.spec import ModelSpec


class Registered(NamedTuple):
    """Where a model is found, as ``"module:NAME"``; imported when it is asked for.

    spec: its :class:`ModelSpec`. settings: its :class:`ModelSettings`. The command lines read settings alone, and start
    faster where those do not lie beside a network.
    """

    spec: str
    settings: str = "amdm.models.settings:ModelSettings"


MODELS = {
    "stable_diffusion": Registered("amdm.models.stable_diffusion:SPEC"),
    "interactdiffusion": Registered(
        "amdm.models.interactdiffusion:SPEC", "amdm.models.settings:InteractDiffusionSettings"
    ),
    "interactdiffusion-v1.2": Registered(
        "amdm.models.interactdiffusion:SPEC_V12", "amdm.models.settings:InteractDiffusionSettings"
    ),
    "gligen": Registered("amdm.models.gligen:SPEC", "amdm.models.settings:GLIGENSettings"),
    "migc": Registered("amdm.models.migc:SPEC", "amdm.models.settings:MIGCSettings"),
    "ip-adapter": Registered("amdm.models.ip_adapter:SPEC", "amdm.models.settings:IPAdapterSettings"),
}
"""Name → where its spec and its settings are."""


def model_spec(name: str) -> ModelSpec:
    """The spec of a model. Raises InputError for an unknown one."""
    spec: ModelSpec = resolve_name(_registered(name, "models").spec)
    assert spec.kind.name == name, f"{spec.kind.__name__}.name is {spec.kind.name!r}, and it is registered as {name!r}"
    return spec


def settings_type(name: str) -> type[ModelSettings]:
    """The settings that a model takes, whose name may have a label (``stable_diffusion:mine``) where a user's own
    networks make several of one kind. Raises InputError for an unknown one."""
    found: type[ModelSettings] = resolve_name(_registered(name.partition(":")[0], "settings").settings)
    return found


def _registered(name: str, field: str) -> Registered:
    if name not in MODELS:
        raise unknown("model", name, MODELS, field=field)
    return MODELS[name]
