"""The layout sets of the mini world, in COCO-MIG's own JSON form: python scripts/mini_layouts.py.

They are frozen, and were before any model was trained: the same files come out each time.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
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


def main(to: Annotated[Path, typer.Option(help="the folder")] = Path("bench/layouts/sets")) -> None:
    """Write the sets and their style pictures."""
    (to / STYLE_FOLDER).mkdir(parents=True, exist_ok=True)
    for name in (*MINI_SETS, *COMBINED_SETS):
        text = json.dumps(build_mini_set(name), separators=(",", ":"))
        (to / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for file, content in build_style_pictures().items():
        (to / STYLE_FOLDER / file).write_bytes(content)


def build_mini_set(name: str) -> dict[str, Any]:
    """The set's entries by running key, which its file holds as compact JSON; the levels alternate, so a prefix is
    balanced."""
    per_level, choice = {**MINI_SETS, **COMBINED_SETS}[name]
    entries: dict[str, Any] = {}
    for key in range(per_level * len(LEVELS)):
        rng, level = scene_generator(f"layouts:{name}", 0, key), LEVELS[key % len(LEVELS)]
        if isinstance(choice, range):
            scene = acting_scene(rng, level)
            entries[str(key)] = {**_entry(key, scene), **_conditions(scene, choice, rng)}
        else:
            entries[str(key)] = _entry(key, sample_scene(rng, level, choice))
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


def _entry(key: int, scene: Scene) -> dict[str, Any]:
    return {"caption": scene.caption, "image_id": f"{key:06d}", "segment": _segment(scene)}


def _conditions(scene: Scene, numbers: range, rng: np.random.Generator) -> dict[str, Any]:
    placed = _segment(scene)
    return {
        "interactions": [
            {"subject": placed[one.subject], "action": one.action, "object": placed[one.object]}
            for one in scene.actions
        ],
        "style": f"{STYLE_FOLDER}/{_style_file(scene.style, numbers[int(rng.integers(len(numbers)))])}",
    }


def _segment(scene: Scene) -> list[dict[str, Any]]:
    return [{"label": one.label, "bbox": [round(value, 5) for value in one.box]} for one in scene.objects]


def _style_file(style: str, number: int) -> str:
    return f"{style}-{number:02d}.png"


if __name__ == "__main__":
    typer.run(main)
