"""What a job would fetch and do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator

from amdm.checkpoints.assemble import files_of_models
from amdm.checkpoints.catalogue import CATALOGUE, DINO, SAM, WeightFile, files_of
from amdm.checkpoints.weights_folder import is_there, weights_dir
from amdm.errors import InputError
from amdm.presets.profile import load_profile
from bench.detectors.registry import check_words
from bench.job.plan import Plan
from bench.job.spec import Job


def describe(job: Job) -> list[str]:
    """One line a fact: layouts, weights, methods with their settings, evaluations. Raises InputError where the run
    would, but for layouts that are absent."""
    lines = [f"profile {job.profile}, {job.dtype} on {job.device}, batches of {job.batch}, seeds {list(job.seeds)}"]
    try:
        plan = Plan.resolve(job)
    except InputError as error:
        count, detector = job.limit or 800, job.detector or "grounded-sam"
        lines.append(f"layouts: {job.layouts}, {count} expected; NOT THERE: {error}")
    else:
        count, detector = len(plan.layout_set), plan.detector.name
        lines.append(f"layouts: {job.layouts}, {count}")
        check_words(detector, plan.layout_set)
        count = len({index for _, index, _ in plan.samples})
        if job.shard is not None:
            lines.append("shard {}/{}: {} of these layouts".format(*job.shard, count))
    if job.profile == "paper":
        settings = load_profile(job.profile).several(job.methods, job.overrides)
        models = {model for one in settings.values() for model in one.models}
        lines += [_weight(file) for file in CATALOGUE if file.name in files_of_models(models)]
    lines.append(f"judge: {detector}")
    if detector == "grounded-sam":
        lines += [_weight(file) for file in files_of("judge") if file.repository in (DINO, SAM)]
    return [*lines, *_methods(job, count)]


def _methods(job: Job, count: int) -> Iterator[str]:
    samples = count * len(job.seeds) * len(job.methods)
    if job.generator is not None:
        yield f"method {job.methods[0]}: {job.generator}"
        yield f"in all: {samples:,} pictures"
        return
    settings, total = load_profile(job.profile).several(job.methods, job.overrides), 0
    for name, one in settings.items():
        each = one.composition.evaluations(len(one.models), one.steps)
        parts = ", ".join(f"{model} {number}" for model, number in zip(one.models, each, strict=True))
        total += sum(each) * count * len(job.seeds)
        yield f"method {name}: T = {one.steps}; guided evaluations a sample: {parts}"
    height, width = (max(getattr(one, side) for one in settings.values()) for side in ("height", "width"))
    yield f"in all: {samples:,} pictures of {width}×{height}, {total:,} guided evaluations"


def _weight(file: WeightFile) -> str:
    state = (
        "there" if is_there(file, weights_dir()) else f"to be fetched (amdm weights fetch --profile {file.profiles[0]})"
    )
    size = f"{file.size / 2**30:.1f} GiB" if file.size else "size not known"
    return f"weights: {file.name}: {state}: {file.source} @ {file.revision}, {size} ({file.licence}) -> {file.place}"
