"""The same layouts across methods as one picture, with the boxes that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from amdm.errors import printable
from bench.layouts.layout_set import Entry, in_turn

TILE, GAP, HEADER, MARGIN = 192, 6, 18, 190
_INK = {"white": (150, 150, 150)}


def picture_grid(rows: Mapping[str, Mapping[int, np.ndarray]], entries: Sequence[Entry]) -> Image.Image:
    """A row of empty layouts, then a row a method; a column a layout.

    Args:
        rows: method → layout index → picture uint8 RGB (H, W, 3).
    """
    names = ["layout", *rows]
    width, height = MARGIN + len(entries) * (TILE + GAP), len(names) * (TILE + GAP) + HEADER
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, entry in enumerate(entries):
        draw.text((MARGIN + column * (TILE + GAP), 3), f"#{entry.key} (L{entry.level})", fill="black")
    for line, name in enumerate(names):
        top = HEADER + line * (TILE + GAP)
        draw.multiline_text((4, top + TILE // 2 - 8), name.replace("+", "\n+", 1).replace("@", "\n@"), fill="black")
        for column, entry in enumerate(entries):
            picture = None if line == 0 else rows[name].get(entry.index)
            if line == 0 or picture is not None:
                sheet.paste(_tile(picture, entry), (MARGIN + column * (TILE + GAP), top))
    return sheet


def balanced(entries: Sequence[Entry], count: int = 10) -> list[Entry]:
    """The first entries of each level in turn, ``count`` in all, sorted by level."""
    return sorted(in_turn(entries)[:count], key=lambda entry: (entry.level, entry.index))


def _tile(picture: np.ndarray | None, entry: Entry) -> Image.Image:
    """One picture with boxes; without a picture the boxes alone, with their labels."""
    tile = Image.new("RGB", (TILE, TILE), (225, 225, 225))
    if picture is not None:
        tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(tile)
    for label, instance in zip(entry.labels, entry.layout.instances, strict=True):
        x1, y1, x2, y2 = (value * (TILE - 1) for value in instance.box)
        draw.rectangle((x1, y1, x2, y2), outline="magenta" if picture is not None else label.colour or "gray", width=1)
        if picture is None:
            text = f"{label.colour} {label.category}".strip()
            draw.text((x1 + 2, y1 + 1), printable(text), fill=_INK.get(label.colour, label.colour or "dimgray"))
    return tile
