"""What a job would fetch and do, without doing it."""

from __future__ import annotations

from amdm.checkpoints.assemble import files_of_models
from amdm.checkpoints.catalogue import DINO, SAM, WeightFile, files_of
from amdm.checkpoints.store import is_there, weights_dir
from amdm.config import load_profile
from amdm.errors import InputError
from amdm.sampler import planned_evaluations
from bench.job import Job

PNG_BYTES_A_PIXEL = 2.0
"""Of photographs, roughly."""


def plan(job: Job) -> list[str]:
    """One line a fact: layouts, weights, methods with their settings, evaluations, disk."""
    profile = load_profile(job.profile)
    settings = profile.several(job.methods, job.overrides)
    lines = [f"profile {job.profile}, {job.dtype} on {job.device}, batches of {job.batch}, seeds {list(job.seeds)}"]
    try:
        count = len(job.layout_set())
        lines.append(f"layouts: {job.layouts}, {count}")
    except InputError as error:
        count = job.limit or 800
        lines.append(f"layouts: {job.layouts}, {count} expected; NOT THERE: {error}")
    if job.profile != "mini":
        models = {model for one in settings.values() for model in one.models}
        lines += [_weight(file) for file in files_of("paper") if file.name in files_of_models(models)]
    try:
        detector = job.detector_name()
    except InputError:  # without the layouts
        detector = job.detector or "grounded-sam"
    lines.append(f"judge: {detector}")
    if detector == "grounded-sam":
        lines += [_weight(file) for file in files_of("judge") if file.repository in (DINO, SAM)]
    total = 0
    for name, one in settings.items():
        config = one.aggregation.config() if one.aggregation else None
        each = planned_evaluations(one.models, one.steps, config)
        parts = ", ".join(f"{model} {number}" for model, number in zip(one.models, each, strict=True))
        total += sum(each) * count * len(job.seeds)
        lines.append(f"method {name}: T = {one.steps}; guided evaluations a sample: {parts}")
    samples = count * len(job.seeds) * len(settings)
    height, width = (max(getattr(one, side) for one in settings.values()) for side in ("height", "width"))
    lines.append(f"in all: {samples:,} pictures of {width}×{height}, {total:,} guided evaluations")
    lines.append(f"disk: about {samples * height * width * PNG_BYTES_A_PIXEL / 2**30:.1f} GiB of pictures")
    return lines


def _weight(file: WeightFile) -> str:
    state = (
        "there" if is_there(file, weights_dir()) else f"to be fetched (amdm weights fetch --profile {file.profiles[0]})"
    )
    size = f"{file.size / 2**30:.1f} GiB" if file.size else "size not known"
    return f"weights: {file.name}: {state}: {file.source} @ {file.revision}, {size} ({file.licence}) -> {file.place}"
