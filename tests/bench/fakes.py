"""A generator and a detector without networks, and a small run with them; also a program, so that tests can kill it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from amdm.io.files import sha256
from amdm.layout import Layout
from amdm.mini.vocabulary import ACTIONS, DIRECTED, STYLES
from bench.cocomig.verdict import Detections, Masks
from bench.detectors.detector import DetectionResult, DetectorFacts, Prompt
from bench.job.batches import groups
from bench.job.settings import RunSettings
from bench.job.spec import Job
from bench.judges.conditions import Judges
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.provenance import Environment
from bench.run.store import RunStore
from bench.stages.generate import generate
from bench.stages.verdicts import score

SIZE = 64
GROUND = 120
METHODS = ("first", "second")
LEFT_OUT = {"first": 40, "second": 120, "interactdiffusion": 120, "migc": 40}
"""Of 256 boxes, how many a method leaves out."""
RGB = {
    "red": (220, 20, 20),
    "blue": (20, 20, 220),
    "green": (20, 200, 20),
    "yellow": (230, 220, 20),
    "black": (8, 8, 8),
    "white": (250, 250, 250),
    "brown": (130, 70, 20),
}


def small_set(count: int = 20) -> LayoutSet:
    """Layouts of the default set, balanced over the levels."""
    return load_layouts("mini").subset(count)


def paint(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> SimpleNamespace:
    """Boxes in their colours. The key decides which are left out."""
    images = np.full((len(layouts), SIZE, SIZE, 3), GROUND, np.uint8)
    for image, layout, key in zip(images, layouts, keys, strict=True):
        chance = hashlib.sha256(f"{method}/{key}".encode()).digest()
        for k, one in enumerate(layout.instances):
            if chance[k] < LEFT_OUT.get(method, 0):
                continue
            x1, y1, x2, y2 = (round(value * SIZE) for value in one.box)
            image[y1:y2, x1:x2] = RGB[one.phrase.split(" ")[1]]
    return SimpleNamespace(images=images, finite=[True] * len(layouts), evaluations={method: 1})


def painter(delay: float = 0.0, begun: Path | None = None) -> Callable[..., SimpleNamespace]:
    """:func:`paint`, slowed down. begun: a file that gets a line when a batch begins."""

    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str], **_: Any) -> SimpleNamespace:
        if begun is not None:
            with begun.open("a") as file:
                file.write(f"{method} {keys[0]}\n")
        time.sleep(delay)
        return paint(method, layouts, keys)

    return run


@dataclass
class BlobDetector:
    """Every connected patch of one colour is an object of every category."""

    name: str = "blobs"
    revision: str = "1"
    canvas: int | None = None
    sizes: list[int] = field(default_factory=list)

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """See bench.detectors.detector.Detector."""
        self.sizes.append(len(images))
        return [self._find(image, wanted) for image, wanted in zip(images, categories, strict=True)]

    def _find(self, image: np.ndarray, wanted: Sequence[str]) -> DetectionResult:
        masks = []
        for colour in RGB.values():
            count, parts = cv2.connectedComponents((image == colour).all(-1).astype(np.uint8))
            masks += [parts == k for k in range(1, count)]
        boxes = [(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) for ys, xs in map(np.nonzero, masks)]
        detections = Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))

        def segment(prompts: Sequence[Prompt]) -> list[Masks]:
            return [Masks(masks[one.best][None], np.ones(1)) for one in prompts]

        return DetectionResult(dict.fromkeys(wanted, detections), segment)


class GuessedActions:
    """Reads an action off the digest of picture and pair."""

    def judge(self, images: Sequence[np.ndarray], pairs: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """See bench.judges.conditions.JudgeOfActions."""
        return [[self._guess(image, pair) for pair in own] for image, own in zip(images, pairs, strict=True)]

    def _guess(self, image: np.ndarray, pair: Any) -> Any:
        chance = hashlib.sha256(image.tobytes() + repr(pair).encode()).digest()
        found = (None, *ACTIONS)[chance[0] % 5]
        return SimpleNamespace(found=found, reversed=found in DIRECTED and chance[1] < 128, margin=chance[2] / 255)


class GuessedStyles:
    """Reads a picture's style off its digest."""

    def judge(self, images: Sequence[np.ndarray]) -> list[Any]:
        """See bench.judges.conditions.JudgeOfStyles."""
        digests = [hashlib.sha256(one.tobytes()).digest() for one in images]
        return [SimpleNamespace(found=STYLES[digest[0] % 6], margin=digest[1] / 255) for digest in digests]


def guessing_judges() -> Judges:
    """Judges of actions and styles without networks, always of the same mind."""
    return Judges(GuessedActions(), GuessedStyles())


def run_settings(**changes: Any) -> RunSettings:
    """Of a run that reads nothing. changes: fields of the job, or of the settings."""
    asked = {"profile": "mini", "layouts": "mini", "methods": ("migc",), "seeds": (0,), "batch": 4}
    asked |= {name: changes.pop(name) for name in list(changes) if name in {field.name for field in fields(Job)}}
    own: dict[str, Any] = {
        "layout_hash": "12",
        "judge": DetectorFacts(name="blobs", revision="1"),
        "weights": {"unet": "abc", "vae": "def"},
        "method_settings": {},
        "environment": Environment(python="3", packages={}, sources="1", device_name="cpu"),
    }
    return RunSettings(job=Job(**asked), **own | changes)  # type: ignore[arg-type]


def change_info(folder: Path, **values: Any) -> None:
    """Write other values into run.json, where the fields of these names stand."""
    info = json.loads((folder / "run.json").read_text())
    settings = info["settings"]
    for name, value in values.items():
        parts = (settings["job"], settings["environment"], settings, info["progress"], info["provenance"], info)
        next(part for part in parts if part is not None and name in part)[name] = value
    (folder / "run.json").write_text(json.dumps(info))


def put_picture(folder: Path, image: str, source: Path) -> None:
    """A file in place of a run's picture, as if it had been drawn."""
    shutil.copyfile(source, folder / image)
    with closing(sqlite3.connect(folder / "run.sqlite")) as database, database:
        database.execute("UPDATE samples SET sha256 = ? WHERE image = ?", (sha256(folder / image), image))


def small_run(
    folder: Path,
    *,
    count: int = 20,
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = (0,),
    batch: int = 4,
    workers: int = 1,
    factory: Callable[..., Any] = painter,
    arguments: tuple[Any, ...] = (),
) -> int:
    """Generate and judge ``count`` layouts in ``folder``; returns how many samples failed."""
    layout_set = small_set(count)
    with RunStore(folder, run_settings(seeds=tuple(seeds), batch=batch, layout_hash=layout_set.hash)) as store:
        failed = generate(store, groups(layout_set, methods, seeds, batch), partial(factory, *arguments), workers)
        score(store, layout_set.entries, BlobDetector, workers)
        store.update("complete")
    return failed


if __name__ == "__main__":
    small_run(Path(sys.argv[1]), arguments=(float(sys.argv[2]), Path(sys.argv[4])), workers=int(sys.argv[3]))
