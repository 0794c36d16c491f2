"""Commands that report: ``table``, ``report``, ``clip``, ``kid``, ``style``, ``compare``, ``regress``, ``baseline``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from amdm.errors import InputError
from amdm.output import JsonOption, tell, tell_aside
from bench.cli import options as opt
from bench.report.columns import USUAL_COLUMNS
from bench.run.places import to_read, to_write

ClipWeightsOption = Annotated[Path | None, Option(help="safetensors in open_clip's form; default: of the judge")]
MEASURES_NOTHING = "random weights: these numbers measure nothing, and are not written"
BASELINE = Path("reports/baselines/mini.json")
USUAL = ",".join(USUAL_COLUMNS)
ColumnsOption = Annotated[
    str,
    Option(
        help="of the LaTeX table, with commas: metrics of metrics.csv (over the levels; place.Avg, isr.L3: one of "
        "them), seconds, evaluations, memory, n"
    ),
]


def table(
    runs: opt.RunsArgument,
    reports: opt.ReportsOption = Path("reports"),
    published: Annotated[bool, Option("--published", help="show published figures apart from the rows")] = False,
    columns: ColumnsOption = USUAL,
    as_json: JsonOption = False,
) -> None:
    """Write tables and picture grid of each run folder again; of several, or with --published, a combined table too.

    Tables are CSV, Markdown and LaTeX. Example: amdm-bench table runs/a runs/b --columns isr,place.Avg,evaluations
    """
    from bench.report.combined import write_combined
    from bench.report.measured import Measured, check_names
    from bench.report.write import write_measured

    chosen = opt.names(columns)
    measured = [Measured.read(to_read(run)) for run in runs]
    check_names(measured)
    folders = [reports / run.name for run in measured]
    pages = [write_measured(run, folder, chosen) for run, folder in zip(measured, folders, strict=True)]
    combine = published or len(runs) > 1
    page = write_combined(measured, reports, published, chosen) if combine else pages[0]
    summaries = [json.loads((folder / "summary.json").read_text(encoding="utf-8")) for folder in folders]
    found = [{"report": folder, **one} for folder, one in zip(folders, summaries, strict=True)]
    tell(page, {"reports": found, "combined": reports / "combined.csv" if combine else None}, as_json)


def page(
    runs: opt.RunsArgument,
    reports: opt.ReportsOption = Path("reports"),
    single_file: Annotated[bool, Option("--single-file", help="large pictures in the page, not beside it")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write report.html: tables, charts and every picture with its verdicts; of several runs, methods side by side.

    The page asks no other place for anything. Example: amdm-bench report runs/a runs/b --single-file
    """
    from bench.report.html.page import write_page
    from bench.report.measured import Measured

    measured = [Measured.read(to_read(run)) for run in runs]
    written = write_page(measured, reports / measured[0].name if len(measured) == 1 else reports, single_file)
    tell(str(written), {"page": written}, as_json)


def clip(
    run: opt.RunArgument,
    reports: opt.ReportsOption = Path("reports"),
    weights: ClipWeightsOption = None,
    bgr: Annotated[bool, Option("--bgr", help="the official evaluator's channel order")] = False,
    random_weights: opt.RandomWeightsOption = False,
    device: opt.DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """CLIP and local CLIP scores of a run's pictures (ViT-L/14), by method and level.

    Example: amdm-bench clip runs/NAME --bgr
    """
    from bench.report.clip import ClipScorer, clip_scores, clip_table
    from bench.report.text import as_markdown, write_table

    path = _clip_weights(weights, random_weights)
    scorer = ClipScorer(path, _device(device), bgr)
    own = to_read(run)
    scores = clip_scores(own, scorer)
    shown = clip_table(scores)
    if random_weights:
        tell_aside(MEASURES_NOTHING, as_json)
    else:
        write_table(reports / own.resolve().name / f"clip{'_bgr' if bgr else ''}.csv", scores)
    tell(as_markdown(shown), {"random_weights": random_weights, "rows": shown}, as_json)


def kid(
    run: opt.RunArgument,
    reports: opt.ReportsOption = Path("reports"),
    reference: Annotated[
        Path | None, Option(help="folder of pictures; default: true renderings of mini layouts")
    ] = None,
    clip: Annotated[bool, Option("--clip", help="features of CLIP ViT-L/14, not of the mini image tower")] = False,
    weights: Annotated[Path | None, Option(help="with --clip: safetensors in open_clip's form")] = None,
    device: opt.DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """KID of every method: whether its pictures look like the reference's, whatever they were asked for.

    Examples: amdm-bench kid runs/NAME

    amdm-bench kid runs/NAME --clip --reference FOLDER_OF_PHOTOGRAPHS
    """
    from bench.judges.picture_features import Features, mini_features
    from bench.report.kid import kid_table
    from bench.report.text import as_markdown, write_table

    if weights is not None and not clip:
        raise InputError("is read with --clip only", field="weights")
    if clip:
        from bench.report.clip import ClipScorer

        features: Features = ClipScorer(_clip_weights(weights, False), _device(device)).image_features
    else:
        features = mini_features()
    own = to_read(run)
    table = kid_table(own, features, reference)
    write_table(reports / own.resolve().name / "kid.csv", table)
    tell(as_markdown(table), {"rows": table}, as_json)


def style(
    run: opt.RunArgument,
    reports: opt.ReportsOption = Path("reports"),
    weights: ClipWeightsOption = None,
    random_weights: opt.RandomWeightsOption = False,
    device: opt.DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Share of pictures whose most similar reference has the style asked for (CLIP ViT-L/14, CSLS), by method.

    Chance is 1/K of K styles. It fills the column of styles in the run's tables (`amdm-bench table RUN`), except where
    a classifier judges them in every run, as it does those of the mini world.

    Example: amdm-bench style runs/NAME
    """
    from amdm.io.files import sha256
    from bench.judges.registry import load_judge
    from bench.report.full_size import retrieval_table
    from bench.report.text import as_markdown, write_table
    from bench.stages.full_size import record_styles, retrieve_styles

    path = _clip_weights(weights, random_weights)
    judge = load_judge("clip-style", path, _device(device))
    with to_write(run) as own:
        found = retrieve_styles(own, judge) if path is None else record_styles(own, judge, sha256(path))
    if path is None:
        tell_aside(MEASURES_NOTHING, as_json)
    else:
        write_table(reports / own.resolve().name / "style_retrieval.csv", found)
    shown = retrieval_table(found)
    shares = shown.assign(**{name: shown[name] / 100 for name in ("style", "low", "high", "chance")})
    tell(as_markdown(shown), {"random_weights": random_weights, "rows": shares}, as_json)


def _device(name: str) -> str:
    """What "auto" means here, or the device that is named. Raises InputError for one that is not there."""
    from amdm.model_set import LoadOptions

    return LoadOptions.parse("mini", device=name).device


def _clip_weights(weights: Path | None, random_weights: bool) -> Path | None:
    """Of open_clip's ViT-L/14: those named, else those fetched; None for random ones."""
    from amdm.checkpoints.catalogue import file_named
    from amdm.checkpoints.weights_folder import require, weights_dir

    if random_weights and weights is not None:
        raise InputError("is not read with --random-weights", field="weights")
    return None if random_weights else weights or require(file_named("clip-vit-large"), weights_dir())


def compare(
    first: opt.RunArgument,
    second: Annotated[str, Argument(help="another run folder or URL; the same one to compare two of its methods")],
    method_a: Annotated[str | None, Option(help="with --method-b: a method of the first run")] = None,
    method_b: Annotated[str | None, Option(help="with --method-a: a method of the second run")] = None,
    summary: Annotated[Path | None, Option(help="write the report as Markdown here too")] = None,
    as_json: JsonOption = False,
) -> None:
    """What the second run differs in from the first, paired over layouts, and which instances flipped.

    Of methods that both have, or of two that are named.

    Example: amdm-bench compare runs/mini runs/mine --method-a migc --method-b my_function
    """
    from bench.report.compare import compare_runs

    if (method_a is None) != (method_b is None):
        raise InputError("--method-a and --method-b go together", field="method")
    pair = (method_a, method_b) if method_a is not None and method_b is not None else None
    found = compare_runs(to_read(first, pictures=False), to_read(second, pictures=False), pair)
    tell(found.report, found, as_json)
    if summary is not None:
        opt.write_file(summary, found.report.encode())


def regress(
    run: opt.RunArgument,
    baseline: Annotated[Path, Option(help="stored verdicts, as `amdm-bench baseline` writes them")] = BASELINE,
    summary: Annotated[Path | None, Option(help="write the report as Markdown here too")] = None,
    allow: Annotated[
        list[str] | None,
        Option(help="points (of 100) that a metric may fall: isr=2, miou=1.5, isr.level=5; repeatable"),
    ] = None,
    junit: Annotated[Path | None, Option(help="write a JUnit XML file here too: a test case a metric")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a run with the baseline; exit 1 where a metric fell beyond its tolerance.

    Example: amdm-bench regress runs/regress --allow isr=2 --allow isr.level=5 --summary summary.md
    """
    from bench.report.gate import check_regression, read_tolerance

    result = check_regression(to_read(run, pictures=False), baseline, read_tolerance(allow or ()))
    tell(result.report, result.as_json(), as_json)
    if summary is not None:
        opt.write_file(summary, result.report.encode())
    if junit is not None:
        from bench.report.gate import junit_xml

        opt.write_file(junit, junit_xml(result, str(run)))
    if result.failures:
        raise Exit(1)


def baseline(
    run: opt.RunArgument,
    reason: Annotated[str, Option(help="why the baseline changes; kept in it")],
    to: Annotated[Path, Option(help="the baseline file")] = BASELINE,
    smaller: Annotated[bool, Option("--smaller", help="even where it has fewer verdicts than the one before")] = False,
    as_json: JsonOption = False,
) -> None:
    """Store a run's verdicts as the baseline that `amdm-bench regress` compares with.

    Example: amdm-bench baseline runs/NAME --to ci/baseline.json --reason first
    """
    from bench.report.gate import make_baseline

    make_baseline(to_read(run, pictures=False), to, reason, smaller)
    tell(f"wrote {to}", {"baseline": to}, as_json)
