"""The shipped layout sets are what their builder makes, and keep what they promise."""

from __future__ import annotations

import json
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amdm.mini.vocabulary import STYLES
from bench.layouts.named import MINI_SETS as NAMES
from bench.layouts.named import load_layouts
from scripts.mini_layouts import COMBINED_SETS, MINI_SETS, build_mini_set, build_style_pictures, main

PER_LEVEL = {
    **{name: one[0] for name, one in MINI_SETS.items()},
    **{name: one[0] for name, one in COMBINED_SETS.items()},
}


def test_every_set_has_its_name() -> None:
    assert set(NAMES) == set(PER_LEVEL)


@pytest.mark.parametrize("name", list(PER_LEVEL))
def test_the_builder_makes_the_shipped_bytes(name: str) -> None:
    shipped = files("bench.layouts").joinpath("sets", f"{name}.json").read_text(encoding="utf-8")
    assert json.dumps(build_mini_set(name), separators=(",", ":")) + "\n" == shipped


def test_the_script_writes_every_shipped_file(tmp_path: Path) -> None:
    main(tmp_path)
    sets = Path(str(files("bench.layouts") / "sets"))
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    assert made == {path.relative_to(sets) for path in sets.rglob("*.*")}
    assert all((sets / one).read_bytes() == (tmp_path / one).read_bytes() for one in made if one.suffix == ".json")


@pytest.mark.parametrize("name", list(PER_LEVEL))
def test_levels_and_sides(name: str) -> None:
    layouts = load_layouts(name)
    per_level = PER_LEVEL[name]
    assert {level: sum(e.level == level for e in layouts.entries) for level in layouts.levels} == dict.fromkeys(
        range(2, 7), per_level
    )
    for entry in layouts.entries:
        for one in entry.layout.instances:
            x1, y1, x2, y2 = one.box
            assert min(x2 - x1, y2 - y1) >= 1 / 8 - 2e-5  # boxes are rounded to five places


@pytest.mark.parametrize("name", list(COMBINED_SETS))
def test_every_combined_layout_asks_for_actions_and_a_style(name: str) -> None:
    for entry in load_layouts(name).entries:
        assert 1 <= len(entry.actions) == len(entry.layout.interactions) <= 3
        assert len({frozenset((one.subject, one.object)) for one in entry.actions}) == len(entry.actions)
        assert entry.asks_style and entry.style is not None and entry.style.is_file()
        assert entry.verdicts == entry.level + len(entry.actions) + 1


def test_style_pictures_are_the_builders_and_each_set_has_its_own() -> None:
    folder = files("bench.layouts").joinpath("sets", "styles")
    built = build_style_pictures()
    assert {one.name for one in folder.iterdir()} == set(built) and {name.partition("-")[0] for name in built} == {
        *STYLES
    }
    for name, content in built.items():  # zlib may pack the same pixels otherwise
        pixels = [np.asarray(Image.open(BytesIO(one))) for one in (content, folder.joinpath(name).read_bytes())]
        assert pixels[0].shape == (64, 64, 3) and np.array_equal(*pixels)
    used = [{entry.style for entry in load_layouts(name).entries} for name in COMBINED_SETS]
    assert not used[0] & used[1] and len(used[0]) == 60
