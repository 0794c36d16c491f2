"""Verdicts on the interactions and the style of a picture, by the judges of actions and styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.layout import Box
from bench.cocomig.action_style import ActionVerdict, StyleVerdict, action_outcome
from bench.judges.registry import judge_spec, load_judge
from bench.layouts.layout_set import Entry

IN_RUNS = ("mini-action", "mini-style")
"""Of :data:`bench.judges.registry.JUDGES`, those that every run over such layouts asks."""


class ActionReading(NamedTuple):
    """What stands between two boxes.

    found: the action whose mark it is; None: no mark. reversed: a directed mark that points from object to subject.
    margin: probability of this reading less that of the next, in [0, 1].
    """

    found: str | None
    reversed: bool
    margin: float


class StyleReading(NamedTuple):
    """found: the picture's style. margin: its probability (of a retrieval, its likeness) less that of the next."""

    found: str
    margin: float


class JudgeOfActions(Protocol):
    """Says what stands between boxes."""

    def judge(
        self, images: Sequence[np.ndarray], pairs: Sequence[Sequence[tuple[Box, Box]]]
    ) -> Sequence[Sequence[ActionReading]]:
        """Pictures uint8 RGB (H, W, 3) and of each the (subject, object) boxes, xyxy in [0, 1] → a reading a pair."""
        ...


class JudgeOfStyles(Protocol):
    """Says what style a picture has."""

    def judge(self, images: Sequence[np.ndarray]) -> Sequence[StyleReading]:
        """Pictures uint8 RGB (H, W, 3) → a reading each."""
        ...


@dataclass(frozen=True)
class Judges:
    """Those that a worker process holds."""

    action: JudgeOfActions
    style: JudgeOfStyles


class ConditionVerdicts(NamedTuple):
    """Of one picture. actions: in the order of the entry's. style: None where none is asked for."""

    actions: list[ActionVerdict]
    style: StyleVerdict | None


def load_judges() -> Judges:
    """The judges of the mini world, with their shipped weights."""
    return Judges(*(load_judge(name) for name in IN_RUNS))


def judge_revisions() -> dict[str, str]:
    """SHA-256 of the weights of each judge, without loading them. Raises InputError where they are absent."""
    found: dict[str, str] = {}
    for spec in map(judge_spec, IN_RUNS):
        if spec.weights is None or not spec.weights.is_file():
            raise InputError("the judge's weights are absent", file=spec.weights)
        found[spec.of] = sha256(spec.weights)
    return found


def judge_conditions(judges: Judges, images: Sequence[np.ndarray], entries: Sequence[Entry]) -> list[ConditionVerdicts]:
    """Verdicts on what each picture (uint8 RGB, (H, W, 3)) was asked for beside its instances.

    The style asked for is the entry's, by name; its reference picture is for the models alone.
    """
    boxes = [[one.box for one in entry.layout.instances] for entry in entries]
    pairs = [
        [(own[one.subject], own[one.object]) for one in entry.actions]
        for entry, own in zip(entries, boxes, strict=True)
    ]
    readings = judges.action.judge(images, pairs) if any(pairs) else [[] for _ in entries]
    styled = [k for k, entry in enumerate(entries) if entry.asks_style]
    found = judges.style.judge([images[k] for k in styled]) if styled else []
    styles = {
        k: StyleVerdict(entries[k].style_name, one.found, one.margin) for k, one in zip(styled, found, strict=True)
    }
    return [
        ConditionVerdicts(
            [
                ActionVerdict(one.found, action_outcome(asked.action, one.found, one.reversed), one.margin)
                for asked, one in zip(entry.actions, own, strict=True)
            ],
            styles.get(k),
        )
        for k, (entry, own) in enumerate(zip(entries, readings, strict=True))
    ]
