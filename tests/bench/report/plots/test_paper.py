"""The paper's qualitative figures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from amdm.errors import InputError
from bench.layouts.named import load_layouts
from bench.report.plots.paper import draw_figure, example_entry, methods_of


def test_each_figure_has_its_methods() -> None:
    assert methods_of(4, "paper") == ("interactdiffusion", "migc", "interactdiffusion+migc")
    assert methods_of(6, "mini") == (
        *("interactdiffusion@combined", "migc@combined", "ip-adapter@combined"),
        "interactdiffusion+migc+ip-adapter",
    )
    with pytest.raises(InputError, match="number: unknown qualitative figure of the paper '7'; there are: 4, 5, 6"):
        methods_of(7, "paper")


def test_the_shipped_layouts_are_placed() -> None:
    for number in (4, 5, 6):
        entry = example_entry("paper", number)
        assert entry.layout.instances == entry.layout.placed() and (entry.style is None) == (number == 4)


def test_every_method_gets_what_it_reads_and_one_seed() -> None:
    asked: dict[str, list[Any]] = {}

    def load(method: str) -> Any:
        def call(layout: Any, ip_adapter_image: Any, generator: Any, output_type: str) -> Any:
            asked.setdefault(method, []).append((layout, ip_adapter_image, generator.initial_seed()))
            return SimpleNamespace(images=np.full((1, 8, 8, 3), len(asked) / 255), finite=[method != "migc@combined"])

        return call

    entries = load_layouts("mini-combined").entries[:2]
    found = draw_figure(6, "mini", entries, 5, load)
    assert list(found.rows) == ["InteractDiffusion", "MIGC", "IP-Adapter", "InteractDiffusion(+MIGC+IP-Adapter)"]
    shown = {name: (calls[0][0].instances, calls[0][0].interactions, calls[0][1]) for name, calls in asked.items()}
    layout = entries[0].layout
    assert shown["interactdiffusion@combined"] == (layout.instances, layout.interactions, None)
    assert shown["migc@combined"] == (layout.instances, (), None)
    assert shown["ip-adapter@combined"][:2] == ((), ()) and shown["ip-adapter@combined"][2].size == (64, 64)
    both = shown["interactdiffusion+migc+ip-adapter"]
    assert both[:2] == (layout.instances, layout.interactions) and both[2] is not None
    assert {call[2] for calls in asked.values() for call in calls} == {5}
    assert found.rows["MIGC"] == {0: "not finite", 1: "not finite"}
    assert (found.rows["InteractDiffusion"][0] == 1).all()
