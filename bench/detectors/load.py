"""Detectors as worker processes build them, once in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.detectors.cache import CachedDetector
from bench.detectors.detector import Detector, DetectorFacts, DetectorOptions
from bench.detectors.registry import detector_canvas, is_heavy, load_detector
from bench.workers import _one_thread


def make_judge(options: DetectorOptions | None = None) -> Detector:
    """The detector asked for, by default that of the mini world."""
    options = options or DetectorOptions()
    if not is_heavy(options.name):
        _one_thread()
    return load_detector(**vars(options))


@dataclass(frozen=True)
class CachedSource:
    """Makes a detector that is loaded only where the cache, a file, lacks an answer. facts: the detector's."""

    options: DetectorOptions
    facts: DetectorFacts
    cache: Path

    def __call__(self) -> Detector:
        """In a worker process, once."""
        return CachedDetector(
            self.cache, self.facts, detector_canvas(self.options.name), partial(make_judge, self.options)
        )
