"""Commands on pictures that other software makes, or made, and on getting pictures out again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amdm.errors import InputError
from bench.commands.options import (
    DetectorOption,
    DeviceOption,
    ForceOption,
    LimitOption,
    OutOption,
    RandomWeightsOption,
    ReportsOption,
    SeedsOption,
    ShardOption,
    WeightsDirOption,
    WorkersOption,
    integers,
    resumable,
    shard_of,
    worker_count,
)
from bench.commands.results import show_results

if TYPE_CHECKING:
    from bench.detection.registry import DetectorOptions

DetectorDtypeOption = Annotated[str | None, typer.Option(help="of the detector: float32 (default), bfloat16, float16")]


def run(
    generator: Annotated[str, typer.Option(help="my_module:my_function, looked for in this folder first")],
    layouts: Annotated[str, typer.Option(help="a layout set by name, or a file")],
    method: Annotated[str | None, typer.Option(help="its name in tables; by default the function's")] = None,
    limit: LimitOption = None,
    seeds: SeedsOption = "0",
    batch: Annotated[int, typer.Option(help="layouts given to the function together")] = 4,
    detector: DetectorOption = None,
    weights_dir: WeightsDirOption = None,
    device: DeviceOption = "auto",
    out: OutOption = None,
    reports: ReportsOption = Path("reports"),
    workers: Annotated[int, typer.Option(help="processes, each with the function imported")] = 1,
    shard: ShardOption = None,
    force: ForceOption = False,
) -> None:
    """Measure any Python function from layouts to pictures: generate, judge, time, tabulate.

    Example: amdm-bench run --generator my_module:my_function --layouts coco-mig-amdm
    """
    from bench.callables import find_function, generate_with
    from bench.detection.registry import DetectorOptions
    from bench.job import run_job
    from bench.layouts.named import load_layouts
    from bench.outside import GENERATOR, GeneratorJob, usual_detector

    _, digest = find_function(generator)
    name = generator.rpartition(":")[2] if method is None else method
    part = shard_of(shard)
    job = GeneratorJob(
        GENERATOR, layouts, (name,), integers(seeds), batch, limit, shard=part, origin=generator, digest=digest
    )
    judge = DetectorOptions(detector or usual_detector(load_layouts(layouts)), weights_dir, device)
    with resumable():
        done = run_job(job, out, reports, worker_count(workers), force, judge, generate_with(generator))
    show_results(*done, reports)


def score(
    run: Annotated[Path | None, typer.Argument(help="a run folder; or give --images and --layouts")] = None,
    images: Annotated[Path | None, typer.Option(help="a folder of any model's pictures, to become a run")] = None,
    layouts: Annotated[str | None, typer.Option(help="what the pictures show: a layout set by name, or a file")] = None,
    mapping: Annotated[Path | None, typer.Option(help="CSV file,index[,seed] in place of names …_<key>.png")] = None,
    method: Annotated[str | None, typer.Option(help="their name in tables; by default the folder's")] = None,
    seed: Annotated[int | None, typer.Option(help="of pictures that name none; by default 0")] = None,
    again: Annotated[bool, typer.Option("--again", help="forget the run's verdicts first")] = False,
    detector: DetectorOption = None,
    random_weights: RandomWeightsOption = False,
    weights_dir: WeightsDirOption = None,
    device: DeviceOption = "auto",
    dtype: DetectorDtypeOption = None,
    out: OutOption = None,
    reports: Annotated[Path | None, typer.Option(help="where tables go; by default reports/")] = None,
    workers: WorkersOption = None,
    force: ForceOption = False,
) -> None:
    """Judge the pictures of a run that have no verdicts yet; or, with --images, make a run of a folder of pictures.

    Examples: amdm-bench score runs/mine --detector yolo; amdm-bench score --images outputs --layouts coco-mig-migc
    """
    from bench.detection.registry import DetectorOptions

    if (run is None) == (images is None) or (images is None) != (layouts is None):
        raise InputError("give either a run folder, or --images with --layouts", field="score")
    only = {"mapping": mapping, "method": method, "seed": seed, "out": out, "reports": reports}
    if run is not None and (wrong := [name for name, value in only.items() if value is not None]):
        raise InputError("belongs to --images", field=wrong[0])
    if images is not None and again:
        raise InputError("belongs to a run folder", field="again")
    options = DetectorOptions("", weights_dir, device, dtype, random_weights)
    with resumable():
        if run is not None:
            _score_run(run, detector, options, workers, again, force)
        elif images is not None and layouts is not None:
            name = images.resolve().name if method is None else method
            taken = (images, layouts, mapping, name, seed or 0)
            _score_images(taken, detector, options, out, reports or Path("reports"), workers, force)


def export(
    run: Annotated[Path, typer.Argument(help="the run folder")],
    method: Annotated[str, typer.Option(help="whose pictures")],
    to: Annotated[Path, typer.Option(help="a folder that is empty or absent")],
    seed: Annotated[int | None, typer.Option(help="by default the run's first")] = None,
) -> None:
    """Write a run's pictures under the names that the official evaluator reads (<image id>_<key>.png)."""
    from bench.export import export_pictures

    for line in export_pictures(run, method, to, seed):
        typer.echo(line)


def check_authors(
    images: Annotated[Path | None, typer.Option(help="the authors' pictures; by default they are fetched")] = None,
    out: Annotated[Path, typer.Option(help="run folder")] = Path("runs/check-authors"),
    reports: ReportsOption = Path("reports"),
    weights_dir: WeightsDirOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Score MIGC's 800 released pictures and compare with the published figures; exit 1 where they differ.

    Needs the layout set coco-mig-migc, the judge's weights and, to end soon, a GPU.
    """
    from bench.check_authors import check_pictures, fetch_pictures
    from bench.detection.registry import DetectorOptions

    with resumable():
        folder = fetch_pictures(out.parent / "migc-released-pictures") if images is None else images
        result = check_pictures(folder, out, reports, DetectorOptions("grounded-sam", weights_dir, device))
    typer.echo(result.report)
    if not result.passed:
        raise typer.Exit(1)


def _score_run(
    folder: Path, detector: str | None, options: DetectorOptions, workers: int | None, again: bool, force: bool
) -> None:
    from dataclasses import replace

    from bench.job import recorded_detector, score_run

    options = replace(options, name=detector or recorded_detector(folder))
    judged = score_run(folder, _processes(workers, options), again, force, options)
    typer.echo(f"{judged} pictures have verdicts")


def _score_images(
    taken: tuple[Path, str, Path | None, str, int],
    detector: str | None,
    options: DetectorOptions,
    out: Path | None,
    reports: Path,
    workers: int | None,
    force: bool,
) -> None:
    from dataclasses import replace

    from bench.images import images_job, take_in
    from bench.job import run_job
    from bench.outside import usual_detector

    job, found = images_job(*taken)
    typer.echo(f"pictures: {job.given}")
    options = replace(options, name=detector or usual_detector(job.layout_set()))
    show_results(*run_job(job, out, reports, _processes(workers, options), force, options, take_in(found)), reports)


def _processes(workers: int | None, options: DetectorOptions) -> int:
    from bench.detection.registry import is_heavy

    return 1 if workers is None and is_heavy(options.name) else worker_count(workers)
