"""A layout set's statistics as text, beside COCO-MIG's."""

from __future__ import annotations

import pandas as pd

from bench.layouts.layout_set import LayoutSet
from bench.layouts.statistics import COCO_MIG_SHARES, QUANTILES, SMALL_SIDE, layout_statistics

_SHARES = {
    "overlapping": "instances that overlap another box",
    "overlapping_half": "… by more than half of the smaller box",
    "repeating": "entries that repeat a category",
    "small": f"instances with a side under {SMALL_SIDE:g}",
}


def describe(layout_set: LayoutSet) -> str:
    """Markdown: counts, shares beside COCO-MIG's, sizes."""
    found = layout_statistics(layout_set)
    shares = pd.DataFrame(
        {
            "per cent of": list(_SHARES.values()),
            layout_set.name: [100 * getattr(found, name) for name in _SHARES],
            "COCO-MIG": [100 * COCO_MIG_SHARES[name] for name in _SHARES],
        }
    )
    sizes = pd.DataFrame([found.side_quantiles, found.area_quantiles], columns=[f"{100 * q:g} %" for q in QUANTILES])
    sizes.insert(0, "quantile", ["side", "area"])
    lines = [
        f"{layout_set.name}: {found.entries} layouts, {found.instances} instances, hash {layout_set.hash}",
        "levels: " + ", ".join(f"L{level} {count}" for level, count in found.levels.items()),
        "colours: " + ", ".join(f"{name} {count}" for name, count in found.colours.items()),
        "categories: " + ", ".join(f"{name} {count}" for name, count in found.categories.items()),
        str(shares.to_markdown(index=False, floatfmt=".0f")),
        str(sizes.to_markdown(index=False, floatfmt=".3f")),
    ]
    return "\n\n".join(lines)
