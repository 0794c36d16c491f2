"""What is known of a judge of actions or styles without loading it; each judge's file has one, named SPEC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.registered import registered_module

JUDGES = {
    "mini-action": "bench.judges.action",
    "mini-style": "bench.judges.style",
    "hico": "bench.judges.hico",
    "hico-layouts": "bench.judges.hico_layouts",
    "clip-style": "bench.judges.clip_style",
}
"""Name → the module that holds its SPEC, imported when it is asked for."""


@dataclass(frozen=True)
class JudgeSpec:
    """A line of :data:`bench.judges.registry.JUDGES`.

    label: the name for readers. of: what it judges. mini: it is of the mini world, and gives verdicts in every run; one
    of full size is asked about a whole run, after it. load: makes the judge; what it takes is said there. weights:
    those that are shipped, whose SHA-256 every run records; None where the user brings them.
    """

    label: str
    of: Literal["action", "style"]
    mini: bool
    load: Callable[..., Any]
    weights: Path | None = None


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
