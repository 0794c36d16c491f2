"""The shipped layout sets are what their builder makes, and keep what they promise."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from bench.layouts.mini import MINI_SETS, build_mini_set
from bench.layouts.named import load_layouts


@pytest.mark.parametrize("name", list(MINI_SETS))
def test_the_builder_makes_the_shipped_bytes(name: str) -> None:
    shipped = files("bench.layouts").joinpath("sets", f"{name}.json").read_text(encoding="utf-8")
    assert json.dumps(build_mini_set(name), separators=(",", ":")) + "\n" == shipped


@pytest.mark.parametrize("name", list(MINI_SETS))
def test_levels_and_sides(name: str) -> None:
    layouts = load_layouts(name)
    per_level = MINI_SETS[name][0]
    assert {level: sum(e.level == level for e in layouts.entries) for level in layouts.levels} == dict.fromkeys(
        range(2, 7), per_level
    )
    for entry in layouts.entries:
        for one in entry.layout.instances:
            x1, y1, x2, y2 = one.box
            assert min(x2 - x1, y2 - y1) >= 1 / 8 - 2e-5  # boxes are rounded to five places
