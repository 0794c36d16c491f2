"""Compositions by name, the ``aggregation.semantics`` of a preset. A new one is one file and one line here."""

from __future__ import annotations

from pkgutil import resolve_name

from amdm.compositions.composition import Composition
from amdm.errors import InputError, instead

COMPOSITIONS = {
    "paper": "amdm.compositions.window:AMDM",
    "official": "amdm.compositions.window:AMDM",
    "switch": "amdm.compositions.switch:Switch",
    "slerp": "amdm.compositions.window:Slerp",
    "true-slerp": "amdm.compositions.true_slerp:TrueSlerp",
    "lol": "amdm.compositions.lol:LOL",
    "mean-epsilon": "amdm.compositions.mean_epsilon:MeanEpsilon",
    "composable": "amdm.compositions.composable:Composable",
    "projective": "amdm.compositions.projective:Projective",
    "alternate": "amdm.compositions.alternate:Alternate",
    "multidiffusion": "amdm.compositions.multidiffusion:MultiDiffusion",
    "superdiff-and": "amdm.compositions.superdiff:SuperDiffAND",
    "fkc": "amdm.compositions.fkc:FKC",
}
"""Name → ``"module:Class"``, imported when it is asked for."""


def composition_type(name: object) -> type[Composition]:
    """The class of a composition, which has its settings as fields. Raises InputError for an unknown name."""
    if not isinstance(name, str) or name not in COMPOSITIONS:
        raise InputError(f"is {str(name)[:80]!r}; {instead(name, COMPOSITIONS)}", field="semantics")
    found: type[Composition] = resolve_name(COMPOSITIONS[name])
    return found
