"""The layout sets of the mini world, in COCO-MIG's own JSON form; frozen before any model was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from amdm.mini.scenes import BOUNDED_OVERLAP, sample_scene, scene_generator

LEVELS = (2, 3, 4, 5, 6)
PER_LEVEL = 160

MINI_SETS: dict[str, tuple[int, float | None]] = {
    "mini": (PER_LEVEL, BOUNDED_OVERLAP),
    "mini-hard": (PER_LEVEL, None),
    "mini-tune": (40, BOUNDED_OVERLAP),
}
"""Name → (entries a level, bound on overlaps). Settings are chosen on ``mini-tune``, results reported on the others."""


def build_mini_set(name: str) -> dict[str, Any]:
    """The set's entries by running key; the levels alternate, so a prefix is balanced."""
    per_level, bound = MINI_SETS[name]
    entries: dict[str, Any] = {}
    for key in range(per_level * len(LEVELS)):
        scene = sample_scene(scene_generator(f"layouts:{name}", 0, key), LEVELS[key % len(LEVELS)], bound)
        entries[str(key)] = {
            "caption": scene.caption,
            "image_id": f"{key:06d}",
            "segment": [{"label": one.label, "bbox": [round(value, 5) for value in one.box]} for one in scene.objects],
        }
    return entries


def write_mini_sets(folder: Path) -> None:
    """Write every set to ``folder/<name>.json`` (the same bytes each time)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in MINI_SETS:
        text = json.dumps(build_mini_set(name), separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
