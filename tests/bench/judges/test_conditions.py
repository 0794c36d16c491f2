"""From what judges read to verdicts on interactions and styles."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from amdm.mini.vocabulary import STYLES
from bench.judges.conditions import Judges, judge_conditions
from bench.layouts.named import load_layouts

ENTRIES = load_layouts("mini-combined").entries[:6]


class Actions:
    """Reads what a table says of (subject, object), and notes nothing else."""

    def __init__(self, readings: dict[Any, tuple[str | None, bool]]) -> None:
        self.readings = readings

    def judge(self, images: Sequence[np.ndarray], pairs: Sequence[Sequence[Any]]) -> list[list[Any]]:
        return [
            [SimpleNamespace(found=self.readings[one][0], reversed=self.readings[one][1], margin=0.5) for one in own]
            for own in pairs
        ]


class Styles:
    """Reads style number p of a picture whose first pixel is p."""

    def judge(self, images: Sequence[np.ndarray]) -> list[Any]:
        return [SimpleNamespace(found=STYLES[one[0, 0, 0]], margin=0.25) for one in images]


def in_style(name: str) -> np.ndarray:
    """A picture that :class:`Styles` reads so."""
    return np.full((8, 8, 3), STYLES.index(name), np.uint8)


def test_each_pair_and_each_style_is_its_own_entrys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.open", None)  # the reference picture tells the judge nothing
    truth: dict[Any, tuple[str | None, bool]] = {}
    for entry in ENTRIES:
        for one in entry.layout.interactions:
            truth[one.subject.box, one.object.box] = (one.action, False)
    images = [in_style(entry.style_name) for entry in ENTRIES]
    found = judge_conditions(Judges(Actions(truth), Styles()), images, ENTRIES)
    assert [[one.outcome for one in verdicts.actions] for verdicts in found] == [
        ["right"] * len(entry.actions) for entry in ENTRIES
    ]
    assert [one.style.asked for one in found if one.style] == [entry.style_name for entry in ENTRIES]
    assert all(verdicts.style is not None and verdicts.style.success for verdicts in found)
    turned = {pair: (action, action == "pushes") for pair, (action, _) in truth.items()}
    again = judge_conditions(Judges(Actions(turned), Styles()), images[::-1], ENTRIES)
    pushed = [one.outcome for verdicts in again for one in verdicts.actions]
    asked = [one.action for entry in ENTRIES for one in entry.actions]
    assert pushed == ["reversed" if action == "pushes" else "right" for action in asked] and "reversed" in pushed
    assert not all(verdicts.style is not None and verdicts.style.success for verdicts in again)


def test_an_entry_without_conditions_has_no_verdicts_on_them() -> None:
    plain = load_layouts("mini").entries[:1]
    (found,) = judge_conditions(Judges(Actions({}), Styles()), [np.zeros((64, 64, 3), np.uint8)], plain)
    assert found.actions == [] and found.style is None
