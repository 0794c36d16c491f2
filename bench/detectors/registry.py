"""Detectors by name. A new one is one file with a SPEC, and one line here."""

from __future__ import annotations

from typing import Any

from amdm.errors import InputError, unknown
from bench.detectors.detector import RANDOM_REVISION, Detector, DetectorFacts, DetectorOptions, DetectorSpec
from bench.layouts.layout_set import LayoutSet
from bench.layouts.vocabulary import quoted
from bench.registered import registered_module

DETECTORS = {
    "mini": "bench.detectors.mini",
    "grounded-sam": "bench.detectors.grounded_sam",
    "yolo": "bench.detectors.yolo",
}
"""Name → the module that holds its SPEC, imported when it is asked for."""


def load_detector(name: str, **held: Any) -> Detector:
    """The detector of that name with its weights. held: other fields of its :class:`DetectorOptions`.

    Raises:
        InputError: unknown name, weights or a package that are absent, an option that this detector does not have.
    """
    options = DetectorOptions(name, **held)
    return _able(options).load(options, detector_revision(options))


def detector_revision(options: DetectorOptions, rehash: bool = False) -> str:
    """SHA-256 over the weights, without loading them; or that they are random.

    rehash: hash every file now; else what was recorded of files that have not changed since.

    Raises:
        InputError: as :func:`load_detector`, but for what shows only when the weights are read.
    """
    spec = _able(options)
    return RANDOM_REVISION if options.random_weights else spec.revision(options, rehash)


def detector_facts(options: DetectorOptions) -> DetectorFacts:
    """Raises InputError as :func:`detector_revision`."""
    spec, dtype = _able(options), options.dtype or "float32"
    return DetectorFacts(name=spec.label, revision=detector_revision(options), thresholds=spec.thresholds, dtype=dtype)


def check_words(name: str, layout_set: LayoutSet) -> None:
    """Raise InputError, before anything is drawn, where the layouts ask for categories that the detector lacks."""
    known = detector_spec(name).categories
    asked = {label.category for entry in layout_set.entries for label in entry.labels}
    if known is not None and (strange := sorted(asked - set(known))):
        shown = quoted(strange, known, 5)
        able = [other for other in DETECTORS if asked <= set(detector_spec(other).categories or asked)]
        what = f"{name} does not know {shown} of {layout_set.name}; {', '.join(able)} can judge it"
        raise InputError(what, field="detector")


def detector_for_label(label: str) -> str:
    """The name of the detector that is recorded as ``label``. Raises InputError for an unknown label."""
    by_label = {detector_spec(name).label: name for name in DETECTORS}
    if label not in by_label:
        raise unknown("detector", label, by_label, field="judge.name")
    return by_label[label]


def detector_spec(name: str) -> DetectorSpec:
    """What is known of a detector without loading it. Raises InputError for an unknown name."""
    spec: DetectorSpec = registered_module("detector", name, DETECTORS).SPEC
    return spec


def _able(options: DetectorOptions) -> DetectorSpec:
    """Of the detector. Raises InputError for an option that it does not have."""
    spec = detector_spec(options.name)
    if options.random_weights and not spec.random:
        raise InputError(f"the detector {options.name} has none", field="random-weights")
    if options.dtype is not None and options.dtype not in spec.dtypes:
        raise unknown(f"dtype of the detector {options.name}", options.dtype, spec.dtypes, field="dtype")
    return spec
