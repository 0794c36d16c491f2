"""Judges of actions and styles by name. A new one is one file with a SPEC, and one line here."""

from __future__ import annotations

from typing import Any

from bench.judges.spec import JudgeSpec
from bench.registered import registered_module

JUDGES = {
    "mini-action": "bench.judges.action",
    "mini-style": "bench.judges.style",
    "hico": "bench.judges.hico_files",
    "hico-layouts": "bench.judges.hico_layouts",
    "clip-style": "bench.judges.clip_style",
}
"""Name → the module that holds its SPEC, imported when it is asked for."""


def judge_spec(name: str) -> JudgeSpec:
    """What is known of a judge without loading it. Raises InputError for an unknown name."""
    spec: JudgeSpec = registered_module("judge", name, JUDGES).SPEC
    return spec


def load_judge(name: str, *arguments: Any) -> Any:
    """The judge of that name. arguments: what its ``load`` takes; nothing for those of the mini world.

    Raises:
        InputError: an unknown name, or weights or a file that cannot be read.
    """
    return judge_spec(name).load(*arguments)
