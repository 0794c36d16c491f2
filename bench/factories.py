"""What worker processes build, once in each: generators of pictures and judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from amdm.layout import Layout
from bench.detection.cache import CachedDetector
from bench.detection.detector import Detector
from bench.detection.registry import DetectorOptions, detector_canvas, is_heavy, load_detector
from bench.external import callable_generator
from bench.generation import Generator
from bench.layouts.layout_set import Label
from bench.tables import CEILING

if TYPE_CHECKING:
    from bench.job import Job


def make_generator(job: Job) -> Generator:
    """The methods of a job, and true renderings under the name "ceiling"."""
    from amdm.methods import load_methods

    if job.profile == "mini":
        _one_thread()
    if job.generator is not None:
        own = callable_generator(job.generator)
        by_name: dict[str, Callable[..., Any]] = {name: partial(own, name) for name in job.methods}
    else:
        loaded = load_methods(job.profile, job.methods, job.overrides, job.loading())
        by_name = {name: method.generate for name, method in loaded.items()}

    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> Any:
        return true_renderings(layouts, keys) if method == CEILING else by_name[method](layouts, keys)

    return run


def true_renderings(layouts: Sequence[Layout], keys: Sequence[str]) -> SimpleNamespace:
    """Pictures of the layouts as the mini world's renderer draws them."""
    from amdm.mini.renderer import render
    from amdm.mini.scenes import Scene, SceneObject, scene_generator

    images = []
    for layout, key in zip(layouts, keys, strict=True):
        labels = [Label.parse(one.phrase) for one in layout.instances]
        objects = [
            SceneObject(label.colour, label.category, one.box)
            for label, one in zip(labels, layout.instances, strict=True)
        ]
        images.append(render(Scene(tuple(objects)), scene_generator(f"{CEILING}:{key}", 0, 0)).image)
    return SimpleNamespace(images=np.stack(images), finite=[True] * len(images), evaluations={})


def make_judge(options: DetectorOptions | None = None) -> Detector:
    """The detector asked for, by default the mini judge."""
    options = options or DetectorOptions()
    if not is_heavy(options.name):
        _one_thread()
    return load_detector(**vars(options))


def make_cached_judge(options: DetectorOptions, facts: dict[str, Any], cache: Path) -> Detector:
    """The same, built only where the cache lacks an answer. facts: the detector's."""
    return CachedDetector(cache, facts, detector_canvas(options.name), partial(make_judge, options))


def _one_thread() -> None:
    """On a CPU several processes beat several threads where networks are small, and rounding is then the same for any
    number of processes. A full-size network, or a user's own, has all cores."""
    import torch

    torch.set_num_threads(1)
