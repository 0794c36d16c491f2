"""What is known of a judge of actions or styles without loading it; each judge's file has one, named SPEC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


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
