"""Commands that judge what is there: ``score``, ``hico-map``, ``check-authors``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Exit, Option

from amdm.errors import InputError
from amdm.output import JsonOption, tell, tell_aside
from bench.cli import options as opt
from bench.run.places import to_write
from bench.workers.processes import worker_count

if TYPE_CHECKING:
    from bench.detectors.detector import DetectorOptions
    from bench.io.remote import RemoteFolder
    from bench.job.spec import Job


def score(
    run: Annotated[str | None, Argument(help="a run folder, or its URL; or use --images")] = None,
    images: Annotated[str | None, Option(help="pictures from any model: a folder, or a URL as s3://…")] = None,
    layouts: Annotated[str | None, Option(help="of --images: a layout set by name, or a file")] = None,
    mapping: Annotated[Path | None, Option(help="of --images: CSV with the columns file and key, perhaps seed")] = None,
    method: Annotated[str | None, Option(help="of --images: what tables call it; default: images")] = None,
    seed: Annotated[
        int | None, Option(help="of --images: the seed of all; default: as names or folders say, else 0", min=0)
    ] = None,
    limit: Annotated[int | None, Option(help="of --images: layouts in all, balanced over levels")] = None,
    out: Annotated[
        str | None, Option(help="of --images: the run folder to make, or its URL as s3://bucket/name")
    ] = None,
    reports: opt.ReportsOption = Path("reports"),
    again: Annotated[bool, Option("--again", help="of a run: forget the verdicts that are there first")] = False,
    interactions: Annotated[
        Path | None, Option(help="of a run: what a detector of interactions found in its pictures (JSON)")
    ] = None,
    detector: opt.DetectorOption = None,
    random_weights: opt.RandomWeightsOption = False,
    weights_dir: opt.WeightsDirOption = None,
    device: opt.DeviceOption = "auto",
    dtype: Annotated[str | None, Option(help="of the detector: float32 (default), bfloat16, float16")] = None,
    workers: opt.WorkersOption = None,
    force: opt.ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge the pictures of a run that have no verdicts yet, or a folder of pictures from any model.

    Examples: amdm-bench score runs/NAME --detector grounded-sam

    amdm-bench score --images DIR --layouts coco-mig-amdm --detector grounded-sam --method my-model

    amdm-bench score runs/NAME --interactions fgahoi.json  (docs/judges.md says how it is written)

    Pictures are named ..._<key>.png, as the official scripts and ours name them, or mapped by a CSV. Those of several
    seeds lie in folders seed0, seed1, ... or are named ..._seed1_<key>.png.
    """
    if (run is None) == (images is None):
        raise InputError("give a run folder, or --images, and not both", field="run")
    opt.use_weights_dir(weights_dir)  # a run's own weights are looked for there too
    from bench.detectors.detector import DetectorOptions

    def held(default: str) -> DetectorOptions:
        return DetectorOptions(detector or default, weights_dir, device, dtype, random_weights)

    if run is not None:
        _refuse("--images", layouts=layouts, mapping=mapping, method=method, seed=seed, limit=limit, out=out)
        _score_run(run, held, again, force, workers, interactions, as_json)
        return
    _refuse("a run folder", again=again or None, force=force or None, interactions=interactions)
    if layouts is None:
        raise InputError("is needed with --images", field="layouts")
    from bench.defaults import images_job
    from bench.io.remote import local_or_remote

    job = images_job(layouts, "images" if method is None else method, seed or 0, detector, limit)
    _score_images(local_or_remote(str(images)), job, held, mapping, seed is None, out, reports, workers, as_json)


def _refuse(owner: str, **options: object) -> None:
    """Raise InputError for what is given though it goes with another form of the command."""
    for name, value in options.items():
        if value is not None:
            raise InputError(f"goes with {owner}", field=name)


def _score_run(
    run: str,
    held: Callable[[str], DetectorOptions],
    again: bool,
    force: bool,
    workers: int | None,
    interactions: Path | None,
    as_json: bool,
) -> None:
    from bench.benchmark import score_run
    from bench.detectors.registry import detector_spec
    from bench.run.info import RunInfo
    from bench.stages.full_size import record_actions

    with opt.resumable(), to_write(run) as folder:
        options = held(RunInfo.read(folder).detector_name)
        count = worker_count(workers, detector_spec(options.name).heavy)
        judged, failed = score_run(folder, count, again, force, options)
        counts, text = {"judged": judged, "failed": failed}, f"{judged} pictures have verdicts"
        if interactions is not None:
            counts["interactions"] = record_actions(folder, interactions)
            text += f", and {counts['interactions']} interactions"
    tell(text, counts, as_json)
    if failed:
        typer.echo(f"error: {failed} pictures could not be judged; the same command tries them again", err=True)
        raise Exit(1)


def _score_images(
    images: Path | RemoteFolder,
    job: Job,
    held: Callable[[str], DetectorOptions],
    mapping: Path | None,
    seeds_in_names: bool,
    out: str | None,
    reports: Path,
    workers: int | None,
    as_json: bool,
) -> None:
    from bench.import_images import score_images
    from bench.job.plan import Plan
    from bench.run.schema import DATABASE

    plan = Plan.resolve(job)
    plan = replace(plan, detector=held(plan.detector.name))
    count = worker_count(workers, plan.is_heavy)
    with opt.resumable(), to_write(out) as own:
        folder, found, failed = score_images(
            images,
            plan,
            out=own,
            reports=reports,
            mapping=mapping,
            seeds_in_names=seeds_in_names,
            workers=count,
            report=partial(tell_aside, as_json=as_json),
        )
    opt.tell_result(folder, reports, as_json)
    for kind in ("duplicate", "ambiguous", "stray", "other", "linked"):
        if names := getattr(found, kind):
            tell_aside(f"{kind}: {', '.join(map(ascii, names[:5]))}{', …' if len(names) > 5 else ''}", as_json)
    if failed:
        typer.echo(f"error: {failed} pictures cannot be read or judged; {folder / DATABASE} says why", err=True)
        raise Exit(1)


def hico_map(
    detections: Annotated[Path, Argument(help="what a detector of interactions found (JSON)")],
    annotations: Annotated[Path, Argument(help="what stands in the same pictures, and the classes (JSON)")],
    to: Annotated[Path | None, Option(help="write the average precision of each class here (CSV)")] = None,
    as_json: JsonOption = False,
) -> None:
    """HICO-DET's mean average precision of recorded detections: full, rare and non-rare, default and known object.

    docs/judges.md says how the files are written. Example: amdm-bench hico-map fgahoi.json hico_test.json
    """
    from bench.judges.hico import Annotations, means
    from bench.judges.registry import load_judge
    from bench.report.text import as_markdown, write_table

    table = load_judge("hico", detections).score(Annotations.read(annotations))
    if to is not None:
        write_table(to, table)
    shown = means(table)
    shares = shown.assign(**{name: shown[name] / 100 for name in ("full", "rare", "non_rare")})
    tell(as_markdown(shown), {"rows": shares}, as_json)


def check_authors(
    images: Annotated[Path | None, Option(help="the authors' pictures; by default they are fetched")] = None,
    out: Annotated[Path, Option(help="run folder")] = Path("runs/check-authors"),
    reports: opt.ReportsOption = Path("reports"),
    weights_dir: opt.WeightsDirOption = None,
    device: opt.DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Score MIGC's 800 released pictures and compare with the published figures; exit 1 where they differ.

    Needs the layout set coco-mig-migc, the judge's weights and, to end soon, a GPU.
    """
    from bench.detectors.detector import DetectorOptions
    from bench.studies.check_authors import check_pictures, check_ready, fetch_pictures

    detector = DetectorOptions("grounded-sam", weights_dir, device)
    check_ready(detector)
    with opt.resumable():
        folder = fetch_pictures(out.parent / "migc-released-pictures") if images is None else images
        result = check_pictures(folder, out, reports, detector)
    tell(result.report, {"passed": result.passed, "report": result.report}, as_json)
    if not result.passed:
        raise Exit(1)
