"""From pictures in a run folder to verdicts."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from amdm.errors import InputError
from amdm.files import read_limited
from bench.attempts import attempt, show_events
from bench.detection.detector import Detector, Found, Prompt
from bench.engines.local import run_tasks
from bench.judge import Verdict, judge_placed, place_instance, to_canvas
from bench.layouts.layout_set import Entry
from bench.store import LARGEST_PICTURE, RunStore, read_table, stored_file

SCORING_BATCH = 16
MOST_PIXELS = 4096 * 4096


@dataclass(frozen=True)
class Picture:
    """One picture to be judged against a layout."""

    method: str
    seed: int
    entry: Entry
    path: Path


def score(
    store: RunStore,
    entries: Sequence[Entry],
    factory: Callable[..., Detector],
    arguments: tuple[Any, ...],
    workers: int,
) -> None:
    """Judge every picture of the run that has no verdicts yet.

    Batches are fixed by the pictures that are there, so that a run that was stopped has the verdicts of one that was
    not, to the last bit: a batch that is not whole is judged again.
    """
    by_index = {entry.index: entry for entry in entries}
    samples = read_table(store.folder, "samples")
    judged, whole = store.judged_samples(), store.whole_samples()
    pictures = []
    for row in samples[samples.status == "ok"].to_dict("records"):
        entry, path = by_index.get(row["layout_index"]), stored_file(store.folder, row["image"])
        if entry is None or path is None:
            raise InputError("names a layout or a picture that is not of this run", file=store.folder, field="samples")
        if (row["method"], row["layout_index"], row["seed"]) not in whole:
            raise InputError("is not the picture that was recorded", file=path)
        pictures.append(Picture(row["method"], row["seed"], entry, path))
    chunks = [pictures[k : k + SCORING_BATCH] for k in range(0, len(pictures), SCORING_BATCH)]
    batches = [chunk for chunk in chunks if any((p.method, p.entry.index, p.seed) not in judged for p in chunk)]
    if not batches:
        return
    done = len(pictures) - sum(map(len, batches))
    with (
        tqdm(total=len(pictures), initial=done, desc="judge", unit="image") as progress,
        closing(run_tasks(ScoringWorker, (factory, arguments), batches, workers)) as results,
    ):
        for result in results:
            show_events(result.events)
            store.record(verdicts=result.rows, events=result.events)
            progress.update(result.pictures)


class BatchVerdicts(NamedTuple):
    """rows: of the verdict table. pictures: how many were in the batch. events: what happened on the way."""

    rows: list[tuple[Any, ...]]
    pictures: int
    events: list[str]


class ScoringWorker:
    """Makes the detector once, then judges batches of pictures."""

    def __init__(self, factory: Callable[..., Detector], arguments: tuple[Any, ...]) -> None:
        self.detector = factory(*arguments)

    def __call__(self, batch: Sequence[Picture]) -> BatchVerdicts:
        """Out of memory halves the batch; a picture that fails three times has no verdicts, and an event says why.

        Raises:
            InputError, OSError, sqlite3.Error: a picture or weights that cannot be read, a full disk: no picture's own.
        """
        events: list[str] = []
        done = attempt(tuple(batch), self._judge, _named, events, fatal=(InputError, OSError, sqlite3.Error))
        return BatchVerdicts([row for part in done for row in part.made or ()], len(batch), events)

    def _judge(self, batch: Sequence[Picture]) -> list[tuple[Any, ...]]:
        images = [self._on_canvas(read_image(one.path)) for one in batch]
        rows = []
        for one, verdicts in zip(batch, judge_images(self.detector, images, batch), strict=True):
            rows += [verdict_row(one.method, one.seed, one.entry, k, v) for k, v in enumerate(verdicts)]
        return rows

    def _on_canvas(self, image: np.ndarray) -> np.ndarray:
        return image if self.detector.canvas is None else to_canvas(image, self.detector.canvas)


def _named(batch: Sequence[Picture]) -> str:
    first = batch[0]
    return f"judge: {len(batch)} pictures from {first.method}, layout {first.entry.index}, seed {first.seed}"


def judge_images(detector: Detector, images: Sequence[np.ndarray], pictures: Sequence[Picture]) -> list[list[Verdict]]:
    """Verdicts on the instances of each picture (uint8 RGB, on the detector's canvas).

    One detector query for each distinct category of a picture; then masks, all of a picture at once, of the instances
    in the right place alone.
    """
    categories = [list(dict.fromkeys(label.category for label in one.entry.labels)) for one in pictures]
    found = detector.find(images, categories)
    return [judge_picture(*one) for one in zip(images, (p.entry for p in pictures), found, strict=True)]


def judge_picture(image: np.ndarray, entry: Entry, found: Found) -> list[Verdict]:
    """Verdicts on the instances of one picture."""
    placed = [
        place_instance(image.shape[:2], instance.box, found.detections[label.category])
        for label, instance in zip(entry.labels, entry.layout.instances, strict=True)
    ]
    wanted = {
        k: Prompt(label.category, one.target, one.best)
        for k, (label, one) in enumerate(zip(entry.labels, placed, strict=True))
        if one.success and one.best is not None
    }
    masks = dict(zip(wanted, found.segment(list(wanted.values())), strict=True)) if wanted else {}
    return [
        judge_placed(image, label.colour, one, masks.get(k))
        for k, (label, one) in enumerate(zip(entry.labels, placed, strict=True))
    ]


def verdict_row(method: str, seed: int, entry: Entry, instance: int, verdict: Verdict) -> tuple[Any, ...]:
    """One row of the verdict table (bench.store.VERDICT_COLUMNS)."""
    label, box = entry.labels[instance], entry.layout.instances[instance].box
    area = (box[2] - box[0]) * (box[3] - box[1])
    return (
        *(method, entry.index, seed, instance, str(label), label.colour, label.category, entry.level, area),
        *(int(verdict.detected), verdict.iou, int(verdict.success), int(verdict.attr), verdict.miou),
        *(verdict.mask_px, verdict.hit_px),
    )


def read_image(path: Path) -> np.ndarray:
    """uint8 RGB (H, W, 3). Raises InputError where the file is no readable picture, or a huge one."""
    content = read_limited(path, LARGEST_PICTURE)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as header:
            width, height = header.size
        if width * height > MOST_PIXELS:
            raise InputError(f"has more than {MOST_PIXELS:,} pixels", file=path)
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, SyntaxError, Image.DecompressionBombError, cv2.error) as error:
        if getattr(error, "code", None) == cv2.Error.StsNoMem:
            raise MemoryError("out of memory while a picture was read") from error
        raise InputError("is not a picture", file=path) from error
    if image is None:
        raise InputError("is not a picture", file=path)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
