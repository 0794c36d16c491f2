"""Judges of actions and styles by name. A new one is one file with a SPEC, and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from amdm.errors import unknown
from bench.judges.spec import JudgeSpec

JUDGES = {
    "mini-action": "bench.judges.action",
    "mini-style": "bench.judges.style",
    "hico": "bench.judges.hico_files",
    "clip-style": "bench.judges.clip_style",
}
"""Name → the module that holds its SPEC, imported when it is asked for."""


def judge_spec(name: str) -> JudgeSpec:
    """What is known of a judge without loading it. Raises InputError for an unknown name."""
    if name not in JUDGES:
        raise unknown("judge", name, JUDGES, field="judge")
    spec: JudgeSpec = import_module(JUDGES[name]).SPEC
    return spec


def load_judge(name: str, *arguments: Any) -> Any:
    """The judge of that name. arguments: what its ``load`` takes; nothing for those of the mini world.

    Raises:
        InputError: an unknown name, or weights or a file that cannot be read.
    """
    return judge_spec(name).load(*arguments)
