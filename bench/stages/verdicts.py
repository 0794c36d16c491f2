"""From pictures in a run folder to verdicts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amdm.errors import InputError
from amdm.progress import Progress
from bench.cocomig.finding import Finding, find_out
from bench.cocomig.verdict import Masks, Placement, Verdict, judge_placed, place_instance, to_canvas
from bench.detectors.detector import DetectionResult, Detector, Prompt
from bench.job.batches import chunked
from bench.judges.conditions import Judges, judge_conditions, load_judges
from bench.layouts.layout_set import Entry
from bench.run.images import read_image, stored_file
from bench.run.read import read_table
from bench.run.schema import JUDGED_TABLES, finding_row, interaction_row, style_row, verdict_row
from bench.run.store import RunStore
from bench.workers.processes import run_tasks
from bench.workers.retries import attempt, show_events
from bench.workers.tracebacks import add_tracebacks

SCORING_BATCH = 16


@dataclass(frozen=True)
class Picture:
    """One picture to be judged against a layout."""

    method: str
    seed: int
    entry: Entry
    path: Path

    @property
    def sample(self) -> tuple[str, int, int]:
        """(method, layout index, seed)."""
        return self.method, self.entry.index, self.seed


def score(
    store: RunStore,
    entries: Sequence[Entry],
    source: Callable[[], Detector],
    workers: int,
    judges: Callable[[], Judges] = load_judges,
) -> None:
    """Judge every picture of the run that has no verdicts yet.

    source: makes the detector, once in each worker process; picklable for several.
    judges: of actions and styles, made where a layout asks for one; picklable for several workers.

    Batches are fixed by method, seed and layouts, so that a run that was stopped, or that grew, has the verdicts of one
    made in one go, to the last bit: a batch that is not whole is judged again.
    """
    by_index = {entry.index: entry for entry in entries}
    samples = read_table(store.folder, "samples")
    whole = store.complete_samples()
    pictures = []
    for row in samples[samples.status == "ok"].to_dict("records"):
        entry, path = by_index.get(row["layout_index"]), stored_file(store.folder, row["image"])
        if entry is None or path is None:
            raise InputError("names a layout or a picture that is not of this run", file=store.folder, field="samples")
        if (row["method"], row["layout_index"], row["seed"]) not in whole:
            raise InputError("is not the picture that was recorded", file=path)
        pictures.append(Picture(row["method"], row["seed"], entry, path))
    chunks = _batches(pictures, entries)
    counts = store.verdict_counts()
    batches = [chunk for chunk in chunks if any(counts.get(p.sample) != p.entry.verdicts for p in chunk)]
    if not batches:
        return
    done = len(pictures) - sum(map(len, batches))
    with (
        Progress(total=len(pictures), initial=done, desc="judge", unit="image") as progress,
        closing(run_tasks(ScoringWorker, (source, judges), batches, workers)) as results,
    ):
        for result in results:
            record_verdicts(store, result)
            progress.update(result.pictures)


def _batches(pictures: Sequence[Picture], entries: Sequence[Entry]) -> list[list[Picture]]:
    """Pictures that are judged together: of one method and seed, the layouts as they are generated in turn."""
    place = {entry.index: k for k, chunk in enumerate(chunked(entries, SCORING_BATCH)) for entry in chunk}
    found: dict[tuple[str, int, int], list[Picture]] = {}
    for one in pictures:
        found.setdefault((one.method, one.seed, place[one.entry.index]), []).append(one)
    return list(found.values())


class BatchVerdicts(NamedTuple):
    """judged: rows by table. pictures: how many were in the batch. events: what happened on the way. tracebacks: where
    the errors among that were raised."""

    judged: dict[str, list[tuple[Any, ...]]]
    pictures: int
    events: list[str]
    tracebacks: list[str]


def record_verdicts(store: RunStore, result: BatchVerdicts) -> None:
    """Put a batch's verdicts down, and what happened on the way."""
    show_events(result.events)
    add_tracebacks(store.folder, result.tracebacks)
    store.record(judged=result.judged, events=result.events)


class ScoringWorker:
    """Makes the detector once, and the judges where they are needed, then judges batches of pictures."""

    def __init__(self, source: Callable[[], Detector], judges: Callable[[], Judges] = load_judges) -> None:
        self.detector = source()
        self._judges = cache(judges)

    def __call__(self, batch: Sequence[Picture]) -> BatchVerdicts:
        """Out of memory halves the batch; a picture that fails three times has no verdicts, and an event says why.

        Raises:
            InputError, OSError, sqlite3.Error: a picture or weights that cannot be read, a full disk: not retried.
        """
        events: list[str] = []
        tracebacks: list[str] = []
        fatal = (InputError, OSError, sqlite3.Error)
        done = attempt(tuple(batch), self._judge, _named, events, fatal, tracebacks=tracebacks)
        judged: dict[str, list[tuple[Any, ...]]] = {name: [] for name in JUDGED_TABLES}
        for part in done:
            for name, rows in (part.made or {}).items():
                judged[name] += rows
        return BatchVerdicts(judged, len(batch), events, tracebacks)

    def _judge(self, batch: Sequence[Picture]) -> dict[str, list[tuple[Any, ...]]]:
        """Rows of each table."""
        pictures = [read_image(one.path) for one in batch]
        images = [to_canvas(one, self.detector.canvas) for one in pictures]
        verdicts, findings = [], []
        for one, judged in zip(batch, judge_images(self.detector, images, batch), strict=True):
            for k, (verdict, finding) in enumerate(judged):
                about = one.method, one.seed, one.entry, k
                verdicts.append(verdict_row(*about, verdict))
                findings.append(finding_row(*about, finding))
        return {"verdicts": verdicts, "findings": findings, **condition_rows(self._judges, pictures, batch)}


def _named(batch: Sequence[Picture]) -> str:
    first = batch[0]
    return f"judge: {len(batch)} pictures from {first.method}, layout {first.entry.index}, seed {first.seed}"


def condition_rows(
    judges: Callable[[], Judges], images: Sequence[np.ndarray], pictures: Sequence[Picture]
) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of the tables ``interactions`` and ``styles``; the judges are made where a layout asks for what they see."""
    asked = [k for k, one in enumerate(pictures) if one.entry.verdicts > one.entry.level]
    rows: dict[str, list[tuple[Any, ...]]] = {"interactions": [], "styles": []}
    if asked:
        found = judge_conditions(judges(), [images[k] for k in asked], [pictures[k].entry for k in asked])
        for one, verdicts in zip((pictures[k] for k in asked), found, strict=True):
            about = one.method, one.seed, one.entry
            rows["interactions"] += [interaction_row(*about, k, verdict) for k, verdict in enumerate(verdicts.actions)]
            rows["styles"] += [style_row(*about, verdicts.style)] if verdicts.style is not None else []
    return rows


class Judged(NamedTuple):
    """The verdict on one instance, and what it was given on."""

    verdict: Verdict
    finding: Finding


def judge_images(detector: Detector, images: Sequence[np.ndarray], pictures: Sequence[Picture]) -> list[list[Judged]]:
    """Verdicts on the instances of each picture (uint8 RGB, on the detector's canvas).

    One detector query for each distinct category of a picture; then masks, all of a picture at once, of the instances
    in the right place alone.
    """
    found = detector.find(images, [categories_of(one.entry) for one in pictures])
    return [judge_picture(*one) for one in zip(images, (p.entry for p in pictures), found, strict=True)]


def judge_picture(image: np.ndarray, entry: Entry, found: DetectionResult) -> list[Judged]:
    """Verdicts on the instances of one picture, uint8 RGB (H, W, 3)."""
    judged = []
    for label, (placement, candidates) in zip(entry.labels, locate(image.shape[:2], entry, found), strict=True):
        verdict = judge_placed(image, label.colour, placement, candidates)
        detections = found.detections[label.category]
        finding = find_out(image, label.colour, placement, detections, candidates, verdict)
        judged.append(Judged(verdict, finding))
    return judged


def categories_of(entry: Entry) -> list[str]:
    """The distinct categories that a detector is asked for."""
    return list(dict.fromkeys(label.category for label in entry.labels))


def locate(size: tuple[int, int], entry: Entry, found: DetectionResult) -> list[tuple[Placement, Masks | None]]:
    """Where each instance of a picture (height, width) stands, and masks of those that are in their place and have a
    colour to be judged."""
    placed = [
        place_instance(size, instance.box, found.detections[label.category])
        for label, instance in zip(entry.labels, entry.layout.instances, strict=True)
    ]
    wanted = {
        k: Prompt(label.category, one.target, one.best)
        for k, (label, one) in enumerate(zip(entry.labels, placed, strict=True))
        if one.success and one.best is not None and label.colour
    }
    masks = dict(zip(wanted, found.segment(list(wanted.values())), strict=True)) if wanted else {}
    return [(one, masks.get(k)) for k, one in enumerate(placed)]
