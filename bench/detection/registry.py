"""Detectors by name. A new one is one new file and one entry here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amdm.checkpoints.catalogue import DINO, SAM
from amdm.errors import InputError
from amdm.files import sha256
from bench.detection.detector import Detector
from bench.judge import OFFICIAL_CANVAS

DTYPES = ("float32", "bfloat16", "float16")
RANDOM_REVISION = "random weights"
"""In place of a digest: whoever reads it knows that the verdicts measure nothing."""


@dataclass(frozen=True)
class DetectorOptions:
    """Which detector, and how it is held.

    weights_dir: None takes the usual place. device: auto takes CUDA where there is one. dtype:
    of the networks, None takes float32. random_weights: full-size networks from their configurations alone.
    """

    name: str = "mini"
    weights_dir: Path | None = None
    device: str = "auto"
    dtype: str | None = None
    random_weights: bool = False


@dataclass(frozen=True)
class _Entry:
    """label: the name in records. random: whether it has random weights. heavy: one process uses all cores,
    or the accelerator."""

    label: str
    thresholds: dict[str, float]
    canvas: int | None
    dtypes: tuple[str, ...]
    random: bool
    heavy: bool
    load: Callable[[DetectorOptions, str], Detector]


def load_detector(
    name: str,
    *,
    weights_dir: Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    random_weights: bool = False,
) -> Detector:
    """The detector of that name with its weights.

    Raises:
        InputError: unknown name, weights or a package that are absent, an option that this detector does not have.
    """
    options = DetectorOptions(name, weights_dir, device or "auto", dtype, random_weights)
    return _entry(options).load(options, detector_revision(options))


def detector_revision(options: DetectorOptions, rehash: bool = False) -> str:
    """SHA-256 over the weights, without loading them; or that they are random.

    rehash: hash every file now; else what was recorded of files that have not changed since.

    Raises:
        InputError: as :func:`load_detector`, but for what shows only when the weights are read.
    """
    from bench.detection.weight_files import own_digest, repository_digest

    _entry(options)  # refuses what cannot be
    if options.random_weights:
        return RANDOM_REVISION
    if options.name == "mini":
        return _mini_revision(rehash)
    if options.name == "yolo":
        return own_digest("yolo11x-seg", options.weights_dir)
    digests = [repository_digest(repository, options.weights_dir, rehash) for repository in (DINO, SAM)]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def detector_facts(options: DetectorOptions) -> dict[str, Any]:
    """All that decides a detector's answers, as plain JSON: goes into run.json and into every key of the cache."""
    entry = _entry(options)
    return {
        "name": entry.label,
        "revision": detector_revision(options),
        "thresholds": entry.thresholds,
        "dtype": options.dtype or "float32",
    }


def detector_thresholds(name: str) -> dict[str, float]:
    """Scores from which on an answer counts."""
    return _entry(DetectorOptions(name)).thresholds


def detector_canvas(name: str) -> int | None:
    """The side of the square on which it judges (see :class:`bench.detection.detector.Detector`)."""
    return _entry(DetectorOptions(name)).canvas


def is_heavy(name: str) -> bool:
    """Whether one process uses all cores, or the accelerator, so that several would be in each other's way."""
    return _entry(DetectorOptions(name)).heavy


def name_of(label: str) -> str:
    """The registered name of a detector that is recorded as ``label``. Raises InputError for an unknown one."""
    for name, entry in _registry().items():
        if entry.label == label:
            return name
    raise InputError(f"{label!r} is no detector of this version", field="judge.name")


def _entry(options: DetectorOptions) -> _Entry:
    registry = _registry()
    if options.name not in registry:
        raise InputError(f"unknown detector {options.name!r}; there are: {', '.join(registry)}", field="detector")
    entry = registry[options.name]
    if options.random_weights and not entry.random:
        raise InputError(f"the detector {options.name} has none", field="random-weights")
    if options.dtype is not None and options.dtype not in entry.dtypes:
        raise InputError(f"{options.dtype!r} is none of {', '.join(entry.dtypes)}", field="dtype")
    return entry


def _registry() -> dict[str, _Entry]:
    return {
        "mini": _Entry("mini-judge", {"score": 0.25}, None, ("float32",), False, False, _mini),
        "grounded-sam": _Entry(
            "grounded-sam",
            {"box": 0.25, "text": 0.25, "mask": 0.0},
            OFFICIAL_CANVAS,
            DTYPES,
            True,
            True,
            _grounded_sam,
        ),
        "yolo": _Entry("yolo", {"score": 0.25, "nms": 0.8}, OFFICIAL_CANVAS, ("float32",), False, True, _yolo),
    }


def _mini(options: DetectorOptions, revision: str) -> Detector:
    from bench.detection.mini_judge import MiniJudge

    if options.device not in ("auto", "cpu"):
        raise InputError("the mini judge runs on the CPU", field="device")
    return MiniJudge()


def _mini_revision(rehash: bool) -> str:
    """As recorded beside the weights, which :class:`MiniJudge` compares with it."""
    from importlib.resources import files

    path = Path(str(files("bench.detection") / "weights" / "mini_judge.sha256"))
    if not path.is_file():
        raise InputError("the judge's weights are absent", file=path)
    if rehash:
        return sha256(path.with_suffix(".safetensors"))
    return path.read_text(encoding="utf-8").strip()


def _grounded_sam(options: DetectorOptions, revision: str) -> Detector:
    import torch

    from bench.detection.grounded_sam import load_grounded_sam
    from bench.detection.random_networks import random_grounded_sam

    dtype = getattr(torch, options.dtype or "float32")
    if options.random_weights:
        return random_grounded_sam(_device(options), dtype)
    return load_grounded_sam(options.weights_dir, _device(options), dtype, revision)


def _yolo(options: DetectorOptions, revision: str) -> Detector:
    from bench.detection.yolo import load_yolo

    return load_yolo(options.weights_dir, _device(options), revision)


def _device(options: DetectorOptions) -> str:
    """Raises InputError for what torch does not know or this machine lacks."""
    from amdm.loading import Loading

    return Loading.parse("paper", None, options.device).device
