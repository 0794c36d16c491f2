"""Hours, GPU-hours and disk of a job, from two batches of it that are drawn and judged on this machine and not kept."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amdm.errors import InputError
from amdm.presets.profile import load_profile
from bench.cocomig.verdict import to_canvas
from bench.detectors import load
from bench.detectors.detector import Detector
from bench.generators import presets
from bench.job.batches import CEILING, Group
from bench.job.conditions import conditions_of
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.judges import conditions
from bench.run.images import encoded
from bench.stages.verdicts import Picture, condition_rows, judge_images
from bench.workers.processes import worker_count

MACHINES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
"""Into how many shards a job is thought to be dealt."""


@dataclass(frozen=True)
class Timing:
    """Of one method's batches, in the order in which they were done; the first bears what happens only once.

    seconds, judge_seconds: by batch. pictures: in each batch. bytes: of a picture's file, the mean.
    load_seconds: of loading the models and the judge, which every process does.
    """

    method: str
    seconds: tuple[float, ...]
    judge_seconds: tuple[float, ...]
    pictures: int
    bytes: float
    load_seconds: float = 0.0


def estimate(job: Job, workers: int | None) -> list[str]:
    """One line a figure, each with what it rests on; one line where nothing can be timed, saying why.

    workers: processes; None takes as many as the job would.
    """
    try:
        plan = Plan.resolve(job)
        timing, count = time_batches(plan), worker_count(workers, plan.is_heavy)
    except InputError as error:
        return [f"not timed: {error}"]
    except Exception as error:  # of a function, say, or too little memory: the job would meet it too
        return [f"not timed: {InputError(f'{type(error).__name__}: {error}')}"]
    return lines(plan, timing, count)


def time_batches(plan: Plan) -> Timing:
    """Draw and judge two batches of the method with the most evaluations, or the only one twice.

    Raises:
        InputError: layouts, weights or the function are not there.
    """
    costs = evaluations(plan.job)
    method = max(costs, key=costs.__getitem__)
    own = [group for group in plan.batches if group.method == method]
    chosen = [own[0], own[1] if len(own) > 1 and len(own[1].entries) == len(own[0].entries) else own[0]]
    started = time.perf_counter()
    generator, judge = presets.make_generator(plan.job), load.make_detector(plan.detector)
    loaded = time.perf_counter() - started
    seconds, judged, sizes = [], [], []
    for group in chosen:
        started = time.perf_counter()
        layouts = [entry.layout for entry in group.entries]
        images = generator(method, layouts, group.keys(), **conditions_of(group.entries)).images
        drawn = time.perf_counter()
        _judge(judge, list(images), group)
        seconds.append(drawn - started)
        judged.append(time.perf_counter() - drawn)
        sizes += [len(encoded(image)) for image in images]
    return Timing(method, tuple(seconds), tuple(judged), len(chosen[0].entries), float(np.mean(sizes)), loaded)


def evaluations(job: Job) -> Mapping[str, int]:
    """Guided evaluations of the models a sample, by method; 1 of what is no preset."""
    if job.generator is not None:
        return dict.fromkeys(job.methods, 1)
    settings = load_profile(job.profile).several(job.methods, job.overrides)
    return {name: sum(one.composition.evaluations(len(one.models), one.steps)) for name, one in settings.items()}


def lines(plan: Plan, timing: Timing, workers: int) -> list[str]:
    """What the timing comes to for all of the plan."""
    costs, samples = evaluations(plan.job), Counter(method for method, _, _ in plan.samples)
    workers = min(workers, len(plan.batches))  # one that has no batch is no help
    total = sum(samples.values())
    each, judge = timing.seconds[-1] / timing.pictures, timing.judge_seconds[-1] / timing.pictures
    drawing = sum(each * samples[name] * cost / costs[timing.method] for name, cost in costs.items())
    hours = (drawing + judge * total) / 3600 / workers
    gpu = plan.job.device.startswith("cuda")
    drawn, judged = (", ".join(f"{one:.2f}" for one in own) for own in (timing.seconds, timing.judge_seconds))
    scaled = "; other methods by their guided evaluations" if len(costs) > 1 else ""
    shared = f", {workers} processes as if none slowed another" if workers > 1 else ""
    return [
        f"timed here, on {plan.job.device}: two batches of {timing.pictures} by {timing.method}: drawn in {drawn} s, "
        f"judged in {judged} s; nothing was kept",
        f"time: about {_figure(hours)} hours, an estimate from the second batch ({each:.3g} s a picture, {judge:.3g} s "
        f"to judge it){scaled}{shared}; loading and tables not counted",
        f"GPU-hours: about {_figure(hours)}, one GPU for that time" if gpu else "GPU-hours: 0, no GPU would be used",
        f"disk: about {_figure(total * timing.bytes / 2**30)} GiB, an estimate: {total:,} pictures"
        f"{' with the true renderings' if samples[CEILING] else ''}, {timing.bytes / 1024:.3g} KiB each as here",
        *_by_machines(plan, hours, timing.load_seconds, gpu),
    ]


def _by_machines(plan: Plan, hours: float, load: float, gpu: bool) -> list[str]:
    """The same on n machines like this one, by engine. hours: on one, without loading; load: seconds, on each.

    Ray hands out batches, a shard is given whole groups of layouts (:func:`bench.job.batches.share`).
    """
    if plan.job.shard is not None:
        return []
    groups = len({group.entries[0].index for group in plan.batches})
    what = f"n {'GPUs' if gpu else 'machines like this'}"
    loads = f"{load:.3g} s of loading on each"
    engines = (
        (len(plan.batches), f"by --engine ray on {what}, {loads}", f"{'GPUs' if gpu else 'machines'}, one a batch"),
        (groups, f"by shards, --shard i/n on {what}, then merge, {loads}", "shards, one a group of layouts"),
    )
    found = []
    for parts, about, most in engines:
        if parts > 1:
            end = f"; no more than {parts} {most}" if parts <= MACHINES[-1] else ""
            found.append(f"{about}: {_spread(parts, hours, load, gpu)}{end}")
    return found


def _spread(parts: int, hours: float, load: float, gpu: bool) -> str:
    """Hours on every number of machines among which so many equal parts are dealt out: the largest share counts."""
    figures = []
    for n in [n for n in MACHINES if n < parts] + [min(parts, MACHINES[-1])]:
        own = hours * math.ceil(parts / n) / parts + load / 3600
        figures.append(f"{n}: {_figure(own)} h" + (f" ({_figure(hours + n * load / 3600)} GPU-hours)" if gpu else ""))
    return ", ".join(figures)


def _judge(detector: Detector, images: Sequence[np.ndarray], group: Group) -> None:
    """What scoring does with a batch, but for the records."""
    pictures = [Picture(group.method, group.seed, entry, Path()) for entry in group.entries]
    judge_images(detector, [to_canvas(one, detector.canvas) for one in images], pictures)
    condition_rows(conditions.load_judges, images, pictures)


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value >= 10 else f"{value:.2g}"
