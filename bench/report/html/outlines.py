"""Outlines of the masks that verdicts were given on, from the detector's answers that a run keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NoReturn

import cv2
import numpy as np

from amdm.errors import InputError
from bench.cocomig.verdict import best_mask, to_canvas
from bench.detectors.cache import CACHE_FILE, CachedDetector
from bench.detectors.registry import detector_canvas
from bench.layouts.layout_set import Entry
from bench.report.measured import Measured
from bench.stages.verdicts import categories_of, locate

Outlines = dict[int, list[list[int]]]
"""Instance → closed lines of its mask, each x1, y1, x2, y2 … in thousandths of width and height."""
UNIT = 1000
FINENESS = 0.004
"""Of the longer side: how far a simplified line may lie from the mask's edge."""
MOST_PARTS = 4


class _NotKept(Exception):
    """The run does not hold the detector's answer."""


def outliner(run: Measured) -> Callable[[np.ndarray, Entry], Outlines]:
    """A function from a picture, uint8 RGB (H, W, 3), and its layout to outlines; empty where none are kept.

    No detector is loaded. Answers of another version, of another machine or of other weights are not taken.
    """
    cache = run.folder / CACHE_FILE
    if run.detector is None or not cache.is_file():
        return lambda image, entry: {}
    canvas = detector_canvas(run.detector)
    try:
        detector = CachedDetector(cache, run.settings.judge, canvas, _refuse)
    except (InputError, sqlite3.Error, OSError):
        return lambda image, entry: {}

    def find(image: np.ndarray, entry: Entry) -> Outlines:
        judged = image if canvas is None else to_canvas(image, canvas)
        try:
            (found,) = detector.find([judged], [categories_of(entry)])
            located = locate(judged.shape[:2], entry, found)
        except (_NotKept, InputError, sqlite3.Error, OSError):
            return {}
        return {k: outline(best_mask(masks)) for k, (_, masks) in enumerate(located) if masks is not None}

    return find


def outline(mask: np.ndarray) -> list[list[int]]:
    """The outer lines of a mask, bool (H, W): those of its largest parts, simplified."""
    height, width = mask.shape
    scale = max(1, round(256 / max(height, width)))  # lines run through pixels' centres: finer pixels, truer edges
    enlarged = np.kron(mask, np.ones((scale, scale), bool)).astype(np.uint8)
    parts, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    lines = []
    for part in sorted(parts, key=cv2.contourArea, reverse=True)[:MOST_PARTS]:
        simple = cv2.approxPolyDP(part, FINENESS * max(enlarged.shape), True).reshape(-1, 2)
        if len(simple) > 2:
            thousandths = np.rint((simple + 0.5) * (UNIT / (scale * width), UNIT / (scale * height)))
            lines.append([int(value) for value in thousandths.ravel()])
    return lines


def _refuse() -> NoReturn:
    raise _NotKept
