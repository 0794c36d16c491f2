"""Detectors as worker processes build them, once in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.detectors.cache import CachedDetector, CarriedDetector
from bench.detectors.detector import Detector, DetectorFacts, DetectorOptions
from bench.detectors.registry import detector_spec, load_detector
from bench.workers.processes import use_one_thread


def make_detector(options: DetectorOptions | None = None) -> Detector:
    """The detector asked for, by default that of the mini world."""
    options = options or DetectorOptions()
    if not detector_spec(options.name).heavy:
        use_one_thread()
    return load_detector(**vars(options))


@dataclass(frozen=True)
class CachedSource:
    """Makes a detector that is loaded only where the cache, a file, lacks an answer. facts: the detector's."""

    options: DetectorOptions
    facts: DetectorFacts
    cache: Path

    def __call__(self) -> CachedDetector:
        """In a worker process, once."""
        return CachedDetector(self.cache, *self._detector())

    def carried(self) -> CarriedDetector:
        """In a worker process that does not write to the cache: answers are handed to the process that does."""
        return CarriedDetector(*self._detector())

    def _detector(self) -> tuple[DetectorFacts, int | None, Callable[[], Detector]]:
        return self.facts, detector_spec(self.options.name).canvas, partial(make_detector, self.options)
