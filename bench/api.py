"""The benchmark as functions, for notebooks and scripts: what the command lines do, with data frames as answers."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Layout
from amdm.pipeline import AMDMPipeline
from amdm.plain_number import plain
from amdm.presets.profile import load_profile
from amdm.profiles import chosen_profile
from bench.benchmark import run_benchmark, score_run
from bench.defaults import EXTERNAL_BATCH, function_job, images_job, preset_job
from bench.detectors.detector import DetectorOptions
from bench.generators.function import UserFunction, as_generator
from bench.generators.presets import with_ceiling
from bench.import_images import score_images
from bench.io.remote import RemoteFolder, is_url, local_or_remote
from bench.job.plan import Plan
from bench.job.seeds import seeds_of
from bench.job.spec import EXTERNAL, Job
from bench.report.measured import Measured
from bench.report.text import as_markdown
from bench.run.places import to_read, to_write
from bench.workers.processes import worker_count


@dataclass(frozen=True)
class Result:
    """What was measured.

    folder: of the run; the commands of ``amdm-bench`` read it. Of a run in a remote folder it is the working folder on
    this machine (docs/storage.md). verdicts: one row an instance. samples: one row a
    picture. metrics: by method and level, fractions in [0, 1] with intervals. table: the paper's Table 1, per cent.
    failures: pictures that could not be generated or judged; they are in no figure.
    """

    folder: Path
    verdicts: pd.DataFrame
    samples: pd.DataFrame
    metrics: pd.DataFrame
    table: pd.DataFrame
    failures: int

    def __str__(self) -> str:
        return as_markdown(self.table)

    _repr_markdown_ = __str__  # in a notebook


def evaluate(
    generator: UserFunction | DiffusionPipeline | str | Path,
    layouts: str = "mini",
    *,
    detector: str | None = None,
    limit: int | None = None,
    seeds: int | str | Sequence[int] = (0,),
    batch: int | None = None,
    name: str | None = None,
    out: Path | str | None = None,
    workers: int = 1,
    device: str = "auto",
) -> Result:
    """Measure a generator on COCO-MIG's protocol.

    Args:
        generator: one of

            - a function ``(layouts, seeds) → pictures``: a list of :class:`amdm.layout.Layout` and one integer a layout
              in, as many PIL images or arrays out;
            - an :class:`amdm.pipeline.AMDMPipeline`, or another diffusers pipeline, which then reads captions alone;
            - the name of a preset (``"interactdiffusion+migc"``), or ``"module:function"``;
            - a folder of pictures, or its URL; one that is called as a preset is must be given as a ``Path``.
        layouts: a layout set by name, or a layout file.
        detector: by name; None takes the one that belongs to the layouts' categories.
        limit: layouts in all, rounded up to a multiple of 5 and balanced over levels; None takes all.
        seeds: also one number, or a text as on the command line ("0-9"). Of a folder of pictures, the seed that they
            were made with.
        batch: samples generated together. name: what tables call the generator; a preset has its own.
        out: the run folder, or its URL. None makes a temporary one for an object in memory, else one under ``runs/``. A
            run of an object in memory cannot be continued: nothing says that it is the same object.
        workers: processes; an object in memory works in this one. device: of presets, and of what is built by name.

    Raises:
        InputError: before anything is written, for anything that cannot be run.

    >>> from bench import evaluate
    >>> result = evaluate("migc", limit=5, device="cpu")  # doctest: +SKIP
    >>> result.metrics.query("level == 'Avg'")[["method", "isr", "miou"]]  # doctest: +SKIP
    """
    workers, chosen = worker_count(plain(workers)), _seeds(seeds)
    asked: dict[str, Any] = {"layouts": layouts, "detector": detector, "limit": limit}
    if isinstance(generator, Path) or (isinstance(generator, str) and _is_folder(generator)):
        return _evaluate_folder(local_or_remote(generator), chosen, name, out, workers, **asked)
    asked |= {"seeds": chosen, "batch": batch}
    source = None
    if isinstance(generator, str) and ":" in generator:
        job = function_job(generator, name=name, device=device, **asked)
    elif isinstance(generator, str):
        if name is not None:
            raise InputError("a preset has its own", field="name")
        job = preset_job(chosen_profile("auto")[0], (generator,), device=device, **asked)
    elif callable(generator):
        function = pipeline_function(generator) if isinstance(generator, DiffusionPipeline) else generator
        name = _name(generator) if name is None else name
        job, workers = _in_memory_job(name, **asked), 1
        source = partial(with_ceiling, {name: partial(as_generator(function, name), name)})
        out = out or Path(tempfile.mkdtemp(prefix="amdm-bench-")) / "run"
    else:
        raise InputError(f"{generator!r} is not a function, pipeline, preset or folder", field="generator")
    with to_write(out) as folder:
        return read_result(*run_benchmark(Plan.resolve(job), folder, _reports(out), workers, source=source))


def score(folder: Path | str, *, detector: str | None = None, workers: int = 1, again: bool = False) -> Result:
    """Judge the pictures of a run folder, or of that at a URL, that have no verdicts yet, or all of them ``again``.

    Args:
        detector: by name; None takes the one that the run names. workers: processes, 1 or more.

    Raises:
        InputError: it is not a run folder, or it holds verdicts of another detector (without ``again``).
    """
    options, count = None if detector is None else DetectorOptions(detector), worker_count(plain(workers))
    with to_write(folder) as own:
        _, failures = score_run(own, count, again, detector=options)
        return read_result(own, failures)


def read_result(folder: Path | str, failures: int = 0) -> Result:
    """The result of a run folder, or of that at a URL. failures: what the result is to say of them.

    Raises:
        InputError: it is not a run folder, nothing is judged yet, or its layouts are not those of this installation.
    """
    own = to_read(folder, pictures=False)
    run = Measured.read(own)
    return Result(own, run.verdicts, run.samples, run.metrics, run.table1, failures)


def pipeline_function(pipe: DiffusionPipeline) -> UserFunction:
    """A diffusers pipeline as a function from layouts and seeds to pictures.

    An :class:`AMDMPipeline` reads the layouts; any other reads their captions and nothing else, and is called so in
    tables: what ignores boxes is not measured as if it had been given them.
    """

    def generators(seeds: list[int]) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw(layouts: list[Layout], seeds: list[int], styles: list[Image.Image] | None = None) -> Any:
        return pipe(layouts=layouts, generator=generators(seeds), ip_adapter_image=styles, return_dict=False)[0]

    def draw_captions(layouts: list[Layout], seeds: list[int]) -> Any:
        prompts = [layout.caption for layout in layouts]
        return pipe(prompt=prompts, generator=generators(seeds), output_type="pil").images

    return draw if isinstance(pipe, AMDMPipeline) else draw_captions


def _seeds(seeds: int | str | Sequence[int]) -> tuple[int, ...]:
    if isinstance(seeds, str):
        return seeds_of(seeds)
    listed = plain(seeds)
    found = tuple(plain(one) for one in (listed if isinstance(listed, Iterable) else [listed]))
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in found):
        raise InputError("must be integers", field="seeds")
    return found


def _is_folder(text: str) -> bool:
    return is_url(text) or (Path(text).is_dir() and text not in load_profile(chosen_profile("auto")[0]).methods)


def _name(generator: Callable[..., Any]) -> str:
    name = str(getattr(generator, "__name__", type(generator).__name__))
    own = not isinstance(generator, DiffusionPipeline) or isinstance(generator, AMDMPipeline)
    return name if own else f"{name} (caption only)"


def _reports(out: Path | str | None) -> Path:
    return Path("reports") if out is None or is_url(out) else Path(out).parent / "reports"


def _in_memory_job(name: str, layouts: str, batch: int | None, **fields: Any) -> Job:
    """A job that no other process can go on with: nothing says that an object is the same one."""
    batch = EXTERNAL_BATCH if batch is None else batch
    digest = uuid.uuid4().hex
    return Job(EXTERNAL, layouts, (name,), batch=batch, generator="object in memory", digest=digest, **fields)


def _evaluate_folder(
    images: Path | RemoteFolder,
    seeds: tuple[int, ...],
    name: str | None,
    out: Path | str | None,
    workers: int,
    layouts: str,
    **fields: Any,
) -> Result:
    if len(seeds) != 1:
        raise InputError("a folder of pictures has one seed", field="seeds")
    own = images.name if isinstance(images, RemoteFolder) else images.resolve().name
    plan = Plan.resolve(images_job(layouts, name or own, seeds[0], **fields))
    with to_write(out) as held:
        folder, _, failures = score_images(images, plan, out=held, reports=_reports(out), workers=workers)
        return read_result(folder, failures)
