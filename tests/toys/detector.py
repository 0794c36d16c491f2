"""A detector in one file, as a user would add it: every patch that is not ground is whatever is asked for."""

from __future__ import annotations

from bench.detectors.detector import DetectorOptions, DetectorSpec
from tests.bench.fakes import BlobDetector

SCORE = 0.125


def _load(options: DetectorOptions, revision: str) -> BlobDetector:
    return BlobDetector("toy", revision)


SPEC = DetectorSpec("toy", {"score": SCORE}, None, lambda options, rehash: "1", _load)
