"""Parts that are listed by name, each in a module of its own that is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

from amdm.errors import unknown


def registered_module(kind: str, name: str, modules: Mapping[str, str], field: str | None = None) -> ModuleType:
    """The module that a name stands for. kind: what the names are of. field: the option, by default called as the kind.

    Raises:
        InputError: an unknown name, with the near match.
    """
    if name not in modules:
        raise unknown(kind, name, modules, field=field or kind)
    return import_module(modules[name])
