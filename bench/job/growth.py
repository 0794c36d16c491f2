"""Runs that grow: a job that asks a run for more layouts, seeds or methods than it holds."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from amdm.errors import InputError
from bench.job.settings import RunSettings
from bench.job.spec import Job

GROWS = ("limit", "seeds", "methods")
"""The fields of a job that may grow: a run holds all its layouts, with all seeds, by all methods."""
_BY_KEY = ("method_settings", "styles", "condition_judges")
"""Settings of each method or layout, by its name: what is added adds some, and the others must stay."""


def can_grow(held: Job, asked: Job) -> bool:
    """Whether the two differ in nothing but what may grow; what is no preset has one method alone."""
    fixed = [one.name for one in fields(Job) if one.name not in GROWS or (one.name == "methods" and asked.generator)]
    return all(getattr(held, name) == getattr(asked, name) for name in fixed)


def grown(held: Job, asked: Job) -> Job:
    """The job of a run of ``held`` that is also asked for ``asked``, where it can grow: the samples of both, no others.

    Methods stand as they were asked for last, where all were named, else behind those that were there. Seeds stand
    behind those that were there: true renderings have the first.

    Raises:
        InputError: there would be samples that neither asks for, naming the field that leaves something out.
    """
    less = [name for name in GROWS if _beyond(held, asked, name)]
    more = [name for name in GROWS if _beyond(asked, held, name)]
    for name in less:
        if others := [other for other in more if other != name]:
            what = f"leaves out {_named(_beyond(held, asked, name))}, which the run holds, while {others[0]} grows"
            raise InputError(f"{what}: ask for both, or use another folder", field=name)
    limit = None if None in (held.limit, asked.limit) else max(held.limit or 0, asked.limit or 0)
    seeds = (*held.seeds, *_beyond(asked, held, "seeds"))
    methods = asked.methods if "methods" not in less else (*held.methods, *_beyond(asked, held, "methods"))
    return replace(asked, limit=limit, seeds=seeds, methods=methods)


def comparable(before: RunSettings, after: RunSettings) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of both by name, without what may differ where a run grows."""
    both = before.by_name(), after.by_name()
    growing = set(GROWS) - ({"methods"} if after.job.generator is not None else set())
    for own, other in (both, both[::-1]):
        for name in _BY_KEY:
            own[name] = {key: value for key, value in own[name].items() if key in other[name]}
        for name in growing:
            own.pop(name)
    return both


def _beyond(one: Job, other: Job, name: str) -> tuple[Any, ...]:
    """What ``one`` asks for in a field, and ``other`` does not."""
    own, others = getattr(one, name), getattr(other, name)
    if name != "limit":
        return tuple(value for value in own if value not in others)
    return (own,) if others is not None and (own is None or own > others) else ()


def _named(values: tuple[Any, ...]) -> str:
    if values == (None,):
        return "layouts (the run has all)"
    return ", ".join(map(str, values[:5])) + (", …" if len(values) > 5 else "")
