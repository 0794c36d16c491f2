"""Statistics of a set counted by hand, and of COCO-MIG against the published facts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from amdm.output import cells
from bench.layouts.layout_set import Entry, LayoutSet
from bench.layouts.named import load_layouts
from bench.layouts.readers import read_json
from bench.layouts.statistics import COCO_MIG_SHARES, contact_sheet, describe, largest_overlaps, layout_statistics
from bench.layouts.vocabulary import MINI, OWN


def entry(index: int, *objects: tuple[str, tuple[float, float, float, float]]) -> Entry:
    return Entry(index, str(index), "", Layout("a photo", tuple(Instance(*one) for one in objects)))


HAND = LayoutSet(
    "hand",
    (
        entry(0, ("a red ring", (0.0, 0.0, 0.5, 0.5)), ("a blue ring", (0.25, 0.0, 0.35, 0.4))),
        entry(
            1,
            ("a red ring", (0.0, 0.0, 0.5, 0.5)),
            ("a red arch", (0.5, 0.0, 1.0, 0.5)),
            ("a red cross", (0.0, 0.375, 0.5, 0.875)),
        ),
    ),
    MINI,
)


def test_hand_counted() -> None:
    stats = layout_statistics(HAND)
    assert (stats.entries, stats.instances, stats.levels) == (2, 5, {2: 1, 3: 1})
    assert stats.colours == {"red": 4, "blue": 1}
    assert stats.categories == {"ring": 3, "arch": 1, "cross": 1}
    assert (stats.overlapping, stats.overlapping_half, stats.repeating, stats.small) == (0.8, 0.4, 0.5, 0.2)
    assert stats.side_quantiles[2] == 0.5 and stats.area_quantiles[2] == 0.25


def test_what_a_terminal_would_obey_is_written_out() -> None:
    escape, around = "\x1b[31m", "\u202e"
    one = Instance(f"a red {escape}ring", (0.0, 0.0, 0.5, 0.5))
    layout = Layout("a photo", (one,), interactions=(Interaction(one, f"eats{escape}", one),))
    strange = LayoutSet(f"set{around}", (Entry(0, "0", "", layout, Path(f"{around}photo.png")),), OWN)
    shown = describe(strange)
    assert escape not in shown and around not in shown
    assert all(text in shown for text in ("\\x1b[31mring 1", "eats\\x1b[31m 1", "\\u202ephoto.png 1", "set\\u202e: 1"))


def test_a_sets_own_shares_stand_beside_those_of_coco_mig_whatever_it_is_called() -> None:
    for name in ("COCO-MIG", "per cent of", "a|b"):
        lines = describe(replace(HAND, name=name)).splitlines()
        head = next(k for k, line in enumerate(lines) if line.startswith("| per cent of"))
        assert cells(lines[head]) == ["per cent of", name, "COCO-MIG"]
        assert cells(lines[head + 2])[1:] == ["80", "85"]  # instances that overlap another box


def test_largest_overlaps() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0.25, 0, 0.75, 0.5], [0.6, 0.4, 0.7, 0.5], [0.8, 0.8, 1, 1]])
    np.testing.assert_allclose(largest_overlaps(boxes), [0.5, 1, 1, 0])


def test_published_facts(coco_mig_dir: Path) -> None:
    stats = layout_statistics(read_json(coco_mig_dir / "mig_bench.json", "coco-mig-amdm"))
    for name, share in COCO_MIG_SHARES.items():
        assert round(getattr(stats, name), 2) == share, name


def test_mini_sets_are_as_described() -> None:
    bounded, hard = layout_statistics(load_layouts("mini")), layout_statistics(load_layouts("mini-hard"))
    assert bounded.overlapping_half == 0
    for name, share in COCO_MIG_SHARES.items():
        assert getattr(hard, name) == pytest.approx(share, abs=0.05), name
    assert min(bounded.side_quantiles) >= 1 / 8


def test_contact_sheet() -> None:
    sheet = contact_sheet(load_layouts("mini"), 7)
    assert (sheet.size, sheet.mode) == ((960, 384), "RGB")
    assert contact_sheet(HAND, 9).size == (960, 192)
    drawn = np.asarray(contact_sheet(HAND, 1))
    red, ground = drawn[56, 19].astype(int), drawn[169, 169].astype(int)
    assert red[0] > red[1] + 40 and np.ptp(ground) == 0
    with pytest.raises(InputError, match="count: 0"):
        contact_sheet(HAND, 0)


def test_a_contact_sheet_is_balanced_over_the_levels() -> None:
    whole, red, blue = (0.0, 0.0, 1.0, 1.0), "a red ring", "a blue ring"
    many = [entry(k, (red, whole)) for k in range(3)]
    layouts = LayoutSet("many", (*many, entry(3, (blue, whole), (blue, (0.1, 0.1, 0.9, 0.9)))), MINI)
    sheet = np.asarray(contact_sheet(layouts, 2)).astype(int)
    first, second = sheet[96, 96], sheet[96, 288]
    assert first[0] > first[2] + 40 and second[2] > second[0] + 40
