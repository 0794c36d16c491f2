"""The layout sets of the mini world, in COCO-MIG's own JSON form; frozen before any model was trained."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from amdm.mini.scene_stream import acting_scene, style_picture
from amdm.mini.scenes import BOUNDED_OVERLAP, Scene, sample_scene, scene_generator
from amdm.mini.vocabulary import STYLES

LEVELS = (2, 3, 4, 5, 6)
PER_LEVEL = 160

MINI_SETS: dict[str, tuple[int, float | None]] = {
    "mini": (PER_LEVEL, BOUNDED_OVERLAP),
    "mini-hard": (PER_LEVEL, None),
    "mini-tune": (40, BOUNDED_OVERLAP),
}
"""Name → (entries a level, bound on overlaps). Settings are chosen on ``mini-tune``, results reported on the others."""

COMBINED_SETS: dict[str, tuple[int, range]] = {
    "mini-combined": (80, range(10)),
    "mini-combined-tune": (20, range(10, 15)),
}
"""Name → (entries a level, numbers of its style pictures): with one to three interactions and a style each. Settings
are chosen on ``mini-combined-tune``, and its style pictures are others, too."""

STYLE_FOLDER = "styles"


def build_mini_set(name: str) -> dict[str, Any]:
    """The set's entries by running key; the levels alternate, so a prefix is balanced."""
    if name in COMBINED_SETS:
        return _build_combined_set(name)
    per_level, bound = MINI_SETS[name]
    entries: dict[str, Any] = {}
    for key in range(per_level * len(LEVELS)):
        scene = sample_scene(scene_generator(f"layouts:{name}", 0, key), LEVELS[key % len(LEVELS)], bound)
        entries[str(key)] = _entry(key, scene)
    return entries


def build_style_pictures() -> dict[str, bytes]:
    """File name (``<style>-<nn>.png``) → PNG of a scene that is in no layout set, drawn in that style."""
    pictures = {}
    for style in STYLES:
        for number in sorted(n for _, numbers in COMBINED_SETS.values() for n in numbers):
            file = BytesIO()
            rng = scene_generator(f"layouts:{STYLE_FOLDER}:{style}", 0, number)
            Image.fromarray(style_picture(style, rng)).save(file, format="PNG", optimize=True)
            pictures[_style_file(style, number)] = file.getvalue()
    return pictures


def write_mini_sets(folder: Path) -> None:
    """Write every set to ``folder/<name>.json`` and the style pictures to ``folder/styles`` (the same bytes each time,
    the pictures' as far as zlib is the same)."""
    (folder / STYLE_FOLDER).mkdir(parents=True, exist_ok=True)
    for name in (*MINI_SETS, *COMBINED_SETS):
        text = json.dumps(build_mini_set(name), separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for name, content in build_style_pictures().items():
        (folder / STYLE_FOLDER / name).write_bytes(content)


def _build_combined_set(name: str) -> dict[str, Any]:
    per_level, numbers = COMBINED_SETS[name]
    entries: dict[str, Any] = {}
    for key in range(per_level * len(LEVELS)):
        rng = scene_generator(f"layouts:{name}", 0, key)
        scene = acting_scene(rng, LEVELS[key % len(LEVELS)])
        entry = _entry(key, scene)
        placed = entry["segment"]
        entry["interactions"] = [
            {"subject": placed[one.subject], "action": one.action, "object": placed[one.object]}
            for one in scene.actions
        ]
        entry["style"] = f"{STYLE_FOLDER}/{_style_file(scene.style, numbers[int(rng.integers(len(numbers)))])}"
        entries[str(key)] = entry
    return entries


def _entry(key: int, scene: Scene) -> dict[str, Any]:
    return {
        "caption": scene.caption,
        "image_id": f"{key:06d}",
        "segment": [{"label": one.label, "bbox": [round(value, 5) for value in one.box]} for one in scene.objects],
    }


def _style_file(style: str, number: int) -> str:
    return f"{style}-{number:02d}.png"
