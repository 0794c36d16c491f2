"""Commands on a run folder that is there already: each stage after generation can be repeated alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amdm.errors import InputError
from amdm.files import write_whole
from bench.commands.options import (
    DetectorOption,
    DeviceOption,
    ForceOption,
    RandomWeightsOption,
    ReportsOption,
    WeightsDirOption,
    WorkersOption,
    resumable,
    use_weights_dir,
    where_results_are,
    worker_count,
)

RunArgument = Annotated[Path, typer.Argument(help="the run folder")]
BASELINE = Path("reports/baselines/mini.json")


def score(
    run: Annotated[Path | None, typer.Argument(help="a run folder; or use --images")] = None,
    images: Annotated[Path | None, typer.Option(help="a folder of pictures from any model")] = None,
    layouts: Annotated[str | None, typer.Option(help="of --images: a layout set by name, or a file")] = None,
    mapping: Annotated[Path | None, typer.Option(help="of --images: CSV with the columns file and key")] = None,
    method: Annotated[str | None, typer.Option(help="of --images: what tables call it; default: images")] = None,
    seed: Annotated[int | None, typer.Option(help="of --images: their seed; default: 0", min=0)] = None,
    limit: Annotated[int | None, typer.Option(help="of --images: layouts in all, balanced over levels")] = None,
    out: Annotated[Path | None, typer.Option(help="of --images: the run folder to make")] = None,
    reports: ReportsOption = Path("reports"),
    again: Annotated[bool, typer.Option("--again", help="of a run: forget the verdicts that are there first")] = False,
    detector: DetectorOption = None,
    random_weights: RandomWeightsOption = False,
    weights_dir: WeightsDirOption = None,
    device: DeviceOption = "auto",
    dtype: Annotated[str | None, typer.Option(help="of the detector: float32 (default), bfloat16, float16")] = None,
    workers: WorkersOption = None,
    force: ForceOption = False,
) -> None:
    """Judge the pictures of a run that have no verdicts yet, or a folder of pictures from any model.

    Examples: amdm-bench score runs/NAME --detector grounded-sam

    amdm-bench score --images DIR --layouts coco-mig-amdm --detector grounded-sam --method my-model

    Pictures are named ..._<key>.png, as the official scripts and ours name them, or mapped by a CSV.
    """
    from bench.detection.registry import DetectorOptions, is_heavy
    from bench.job import recorded_detector, score_run, usual_detector
    from bench.layouts.named import load_layouts

    if (run is None) == (images is None):
        raise InputError("give a run folder, or --images, and not both", field="run")
    own: dict[str, object] = {
        "layouts": layouts,
        "mapping": mapping,
        "method": method,
        "seed": seed,
        "limit": limit,
        "out": out,
    }
    for name, value in own.items() if run is not None else {"again": again or None, "force": force or None}.items():
        if value is not None:
            raise InputError(f"goes with {'--images' if run is not None else 'a run folder'}", field=name)
    if images is not None and layouts is None:
        raise InputError("is needed with --images", field="layouts")
    use_weights_dir(weights_dir)  # a run's own weights are looked for there too
    known = recorded_detector(run) if run is not None else usual_detector(load_layouts(str(layouts)))
    options = DetectorOptions(detector or known, weights_dir, device, dtype, random_weights)
    count = worker_count(workers, is_heavy(options.name))
    with resumable():
        if run is not None:
            judged, failed = score_run(run, count, again, force, options)
            typer.echo(f"{judged} pictures have verdicts")
            if failed:
                typer.echo(f"error: {failed} pictures could not be judged; the same command tries them again", err=True)
                raise typer.Exit(1)
            return
        assert images is not None and layouts is not None
        from bench.external_job import images_job, score_images

        job = images_job(layouts, "images" if method is None else method, seed or 0, options, limit)
        folder, found, failed = score_images(images, job, mapping, out, reports, options, count, typer.echo)
    typer.echo(where_results_are(folder, reports))
    for kind, names in (("duplicate", found.duplicate), ("stray", found.stray)):
        if names:
            typer.echo(f"{kind}: {', '.join(map(ascii, names[:5]))}{', …' if len(names) > 5 else ''}")
    if failed:
        typer.echo(f"error: {failed} pictures cannot be read or judged; {folder}/run.sqlite says why", err=True)
        raise typer.Exit(1)


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
    from bench.check_authors import check_pictures, check_ready, fetch_pictures
    from bench.detection.registry import DetectorOptions

    detector = DetectorOptions("grounded-sam", weights_dir, device)
    check_ready(detector)
    with resumable():
        folder = fetch_pictures(out.parent / "migc-released-pictures") if images is None else images
        result = check_pictures(folder, out, reports, detector)
    typer.echo(result.report)
    if not result.passed:
        raise typer.Exit(1)


def export(
    run: RunArgument,
    method: Annotated[str, typer.Option(help="whose pictures")],
    to: Annotated[Path, typer.Option(help="the folder to make")],
    seed: Annotated[int, typer.Option(help="of which seed", min=0)] = 0,
) -> None:
    """Copy a method's pictures under the names that the official evaluator reads, so that it can score them.

    Example: amdm-bench export runs/NAME --method interactdiffusion+migc --to official/
    """
    from bench.export import export_images

    typer.echo(f"wrote {export_images(run, method, seed, to)} pictures to {to}")


def table(
    runs: Annotated[list[Path], typer.Argument(help="run folders")],
    reports: ReportsOption = Path("reports"),
    published: Annotated[bool, typer.Option("--published", help="show published figures apart from the rows")] = False,
) -> None:
    """Write tables and picture grid of each run folder again; of several, or with --published, a combined table too.

    Tables are CSV, Markdown and LaTeX. Example: amdm-bench table runs/a runs/b --published
    """
    from bench.combined import write_combined
    from bench.reporting import write_report

    pages = [write_report(run, reports / run.resolve().name) for run in runs]
    combine = published or len(runs) > 1
    typer.echo(write_combined(runs, reports, published) if combine else pages[0])


def clip(
    run: RunArgument,
    reports: ReportsOption = Path("reports"),
    weights: Annotated[Path | None, typer.Option(help="safetensors in open_clip's form; default: of the judge")] = None,
    bgr: Annotated[bool, typer.Option("--bgr", help="the official evaluator's channel order")] = False,
    random_weights: RandomWeightsOption = False,
    device: DeviceOption = "auto",
) -> None:
    """CLIP and local CLIP scores of a run's pictures (ViT-L/14), by method and level.

    Example: amdm-bench clip runs/NAME --bgr
    """
    from amdm.checkpoints.catalogue import file_named
    from amdm.checkpoints.store import require, weights_dir
    from amdm.loading import Loading
    from bench.clip_score import ClipScorer, clip_scores, clip_table
    from bench.tables import as_markdown

    if random_weights and weights is not None:
        raise InputError("is not read with --random-weights", field="weights")
    path = None if random_weights else weights or require(file_named("clip-vit-large"), weights_dir())
    scorer = ClipScorer(path, Loading.parse("mini", device=device).device, bgr)
    scores = clip_scores(run, scorer)
    folder = reports / run.resolve().name
    folder.mkdir(parents=True, exist_ok=True)
    shown = clip_table(scores)
    if random_weights:
        typer.echo("random weights: these numbers measure nothing, and are not written")
    else:
        content = scores.to_csv(index=False, float_format="%.6f")
        write_whole(folder / f"clip{'_bgr' if bgr else ''}.csv", content.encode())
    typer.echo(as_markdown(shown))


def compare(
    first: Annotated[Path, typer.Argument(help="a run folder")],
    second: Annotated[Path, typer.Argument(help="another, or the same for two of its methods")],
    method_a: Annotated[str | None, typer.Option(help="with --method-b: a method of the first run")] = None,
    method_b: Annotated[str | None, typer.Option(help="with --method-a: a method of the second run")] = None,
    summary: Annotated[Path | None, typer.Option(help="write the report as Markdown here too")] = None,
) -> None:
    """What the second run differs in from the first, paired over layouts, and which instances flipped.

    Of methods that both have, or of two that are named.

    Example: amdm-bench compare runs/mini runs/mine --method-a migc --method-b my_function
    """
    from bench.compare import compare_runs

    if (method_a is None) != (method_b is None):
        raise InputError("--method-a and --method-b go together", field="method")
    report = compare_runs(
        first, second, (method_a, method_b) if method_a is not None and method_b is not None else None
    )
    typer.echo(report)
    if summary is not None:
        summary.write_text(report, encoding="utf-8")


def verify(run: RunArgument, weights_dir: WeightsDirOption = None) -> None:
    """Check records, pictures and weights against run.json; exit 1 where something is not as recorded.

    Example: amdm-bench verify runs/NAME
    """
    from bench.verify import verify_run

    use_weights_dir(weights_dir)
    problems = verify_run(run)
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{run}: {len(problems)} problem{'s'[: len(problems) > 1]}" if problems else f"{run}: whole")
    if problems:
        raise typer.Exit(1)


def regress(
    run: RunArgument,
    baseline: Annotated[Path, typer.Option(help="stored verdicts")] = BASELINE,
    summary: Annotated[Path | None, typer.Option(help="write the report as Markdown here too")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="points a metric may fall: isr=2, miou=1.5, isr.level=5; repeatable")
    ] = None,
) -> None:
    """Compare a run with the baseline; exit 1 where a metric fell beyond its tolerance.

    Example: amdm-bench regress runs/regress --allow isr=2 --allow isr.level=5 --summary summary.md
    """
    from bench.regression import check_regression, read_tolerance

    result = check_regression(run, baseline, read_tolerance(allow or ()))
    typer.echo(result.report)
    if summary is not None:
        summary.write_text(result.report, encoding="utf-8")
    if result.failures:
        raise typer.Exit(1)


def baseline(
    run: RunArgument,
    reason: Annotated[str, typer.Option(help="why the baseline changes; kept in it")],
    to: Annotated[Path, typer.Option(help="the baseline file")] = BASELINE,
    smaller: Annotated[
        bool, typer.Option("--smaller", help="even where it has fewer verdicts than the one before")
    ] = False,
) -> None:
    """Make a run the baseline."""
    from bench.regression import make_baseline

    make_baseline(run, to, reason, smaller)
    typer.echo(f"wrote {to}")
