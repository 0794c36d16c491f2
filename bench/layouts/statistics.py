"""What the layouts of a set are like: how many, how large, how much on top of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image, ImageColor, ImageDraw

from amdm.errors import InputError, printable
from bench.layouts.layout_set import Entry, LayoutSet

SMALL_SIDE = 0.2
TILE, COLUMNS = 192, 5
"""Of a contact sheet."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COCO_MIG_SHARES = {"overlapping": 0.85, "overlapping_half": 0.53, "repeating": 0.74, "small": 0.38}
"""The shares of COCO-MIG (`mig_bench.json`, 800 entries), to two digits."""
_PAINT = {"brown": "saddlebrown"}
"""Where the web's colour of that name is not the benchmark's."""
UNPAINTED = "dimgray"
"""Of boxes whose label names no colour."""
_SHARES = {
    "overlapping": "instances that overlap another box",
    "overlapping_half": "… by more than half of the smaller box",
    "repeating": "entries that repeat a category",
    "small": f"instances with a side under {SMALL_SIDE:g}",
}


@dataclass(frozen=True)
class LayoutStatistics:
    """Shares are fractions; sides and areas are fractions of the picture's.

    levels, colours, categories: counts of entries, instances, instances. overlapping: instances that share some area
    with another box. overlapping_half: those that share more than half of the smaller box's. repeating: entries that
    hold one category more than once. small: instances with a side under :data:`SMALL_SIDE`. side_quantiles,
    area_quantiles: at :data:`QUANTILES`; a side is a width or a height.
    """

    entries: int
    instances: int
    levels: dict[int, int]
    colours: dict[str, int]
    categories: dict[str, int]
    overlapping: float
    overlapping_half: float
    repeating: float
    small: float
    side_quantiles: tuple[float, ...]
    area_quantiles: tuple[float, ...]


def layout_statistics(layout_set: LayoutSet) -> LayoutStatistics:
    """Count a set."""
    labels = [label for entry in layout_set.entries for label in entry.labels]
    boxes = [_boxes(entry) for entry in layout_set.entries]
    shares = np.concatenate([largest_overlaps(one) for one in boxes])
    corners = np.concatenate(boxes)
    sides = corners[:, 2:] - corners[:, :2]
    repeats = [max(Counter(label.category for label in entry.labels).values()) > 1 for entry in layout_set.entries]
    return LayoutStatistics(
        entries=len(layout_set),
        instances=layout_set.instance_count,
        levels=dict(sorted(Counter(entry.level for entry in layout_set.entries).items())),
        colours=dict(Counter(label.colour for label in labels).most_common()),
        categories=dict(Counter(label.category for label in labels).most_common()),
        overlapping=float((shares > 0).mean()),
        overlapping_half=float((shares > 0.5).mean()),
        repeating=float(np.mean(repeats)),
        small=float((sides < SMALL_SIDE).any(axis=1).mean()),
        side_quantiles=tuple(float(value) for value in np.quantile(sides, QUANTILES)),
        area_quantiles=tuple(float(value) for value in np.quantile(sides.prod(axis=1), QUANTILES)),
    )


def largest_overlaps(boxes: np.ndarray) -> np.ndarray:
    """For each box of a layout, the largest share of the smaller box that it has in common with another.

    Args:
        boxes: xyxy (n, 4), n ≥ 1.

    Returns:
        float64 (n,) in [0, 1].
    """
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    shares = np.clip(high - low, 0, None).prod(axis=2) / np.minimum(areas[:, None], areas[None, :])
    np.fill_diagonal(shares, 0)
    return np.asarray(shares.max(axis=1))


def contact_sheet(layout_set: LayoutSet, count: int) -> Image.Image:
    """Drawings of ``count`` layouts (or all, if fewer), balanced over the levels: boxes in their colours, with labels.

    Returns:
        RGB picture of tiles of :data:`TILE` pixels, :data:`COLUMNS` a row.
    """
    if count < 1:
        raise InputError(f"{count} is not a positive number of layouts", field="count")
    entries = layout_set.first(count).entries
    rows = -(-len(entries) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * TILE), "gray")
    for k, entry in enumerate(entries):
        sheet.paste(_drawing(entry, TILE - 4), (k % COLUMNS * TILE + 2, k // COLUMNS * TILE + 2))
    return sheet


def _drawing(entry: Entry, size: int) -> Image.Image:
    """One layout, larger boxes first: translucent fill, outline, category."""
    picture = Image.new("RGB", (size, size), "#b0b0b0")
    pen = ImageDraw.Draw(picture, "RGBA")
    boxes = _boxes(entry)
    for k in np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable"):
        x1, y1, x2, y2 = (float(value) for value in boxes[k] * (size - 1))
        colour = entry.labels[k].colour or UNPAINTED
        paint = ImageColor.getrgb(_PAINT.get(colour, colour))[:3]
        pen.rectangle((x1, y1, x2, y2), fill=(*paint, 90), outline=paint, width=2)
        text = printable(entry.labels[k].category)
        pen.text((x1 + 3, y1 + 2), text, fill="black", stroke_width=1, stroke_fill="white")
    pen.text((2, size - 12), printable(f"#{entry.key}"), fill="black")
    return picture


def _boxes(entry: Entry) -> np.ndarray:
    return np.array([instance.box for instance in entry.layout.instances])


def _conditions(layout_set: LayoutSet) -> list[str]:
    """Lines of what is asked for beside instances, where anything is."""
    actions = Counter(one.action for entry in layout_set.entries for one in entry.layout.interactions)
    styles = Counter(entry.style_name or entry.style.name for entry in layout_set.entries if entry.style is not None)
    return [
        _counted(what, dict(counts.most_common()))
        for what, counts in (("actions", actions), ("styles", styles))
        if counts
    ]


def _counted(what: str, counts: Mapping[str, int]) -> str:
    """One line, with names from files written out."""
    return f"{what}: " + ", ".join(f"{printable(name)} {count}" for name, count in counts.items())


def describe(layout_set: LayoutSet) -> str:
    """Markdown, in which what a terminal would obey is written out: counts, shares beside COCO-MIG's, sizes."""
    found, title = layout_statistics(layout_set), printable(layout_set.name)
    columns = ["per cent of", title.replace("|", "\\|"), "COCO-MIG"]
    rows = [(text, 100 * getattr(found, name), 100 * COCO_MIG_SHARES[name]) for name, text in _SHARES.items()]
    shares = pd.DataFrame(rows, columns=columns)
    sizes = pd.DataFrame([found.side_quantiles, found.area_quantiles], columns=[f"{100 * q:g} %" for q in QUANTILES])
    sizes.insert(0, "quantile", ["side", "area"])
    lines = [
        f"{title}: {found.entries} layouts, {found.instances} instances, hash {layout_set.hash}",
        _counted("levels", {f"L{level}": count for level, count in found.levels.items()}),
        _counted("colours", {colour or "none named": count for colour, count in found.colours.items()}),
        _counted("categories", found.categories),
        *_conditions(layout_set),
        str(shares.to_markdown(index=False, floatfmt=".0f")),
        str(sizes.to_markdown(index=False, floatfmt=".3f")),
    ]
    return "\n\n".join(lines)
