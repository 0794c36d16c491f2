"""``amdm-bench plot``: figures of runs for papers, as PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from amdm.output import JsonOption, tell
from bench.cli.options import names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.report.measured import Together
    from bench.report.plots.charts import Panel

app = Typer(no_args_is_help=True, help="Figures for papers: levels, sizes, trade-off, heatmap, hand-over, samples.")

RunsArgument = Annotated[list[Path], Argument(help="run folders, all on the same layouts")]
FigureOption = Annotated[Path, Option("--out", help="the figure: .png, .svg or .pdf")]
ShownOption = Annotated[str | None, Option("--methods", help="those to show, with commas, in this order; default: all")]
MetricsOption = Annotated[str, Option(help="metrics with commas, a chart each; metrics.csv has their names")]


@app.command()
def levels(
    runs: RunsArgument,
    out: FigureOption,
    metrics: MetricsOption = "isr,miou",
    methods: ShownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Metrics by level, with their 95 % intervals.

    Example: amdm-bench plot levels runs/mini --out levels.pdf --metrics isr,place
    """
    from bench.report.plots.of_runs import levels

    _panels(levels, runs, out, metrics, methods, as_json)


@app.command()
def sizes(
    runs: RunsArgument,
    out: FigureOption,
    metrics: MetricsOption = "isr,place",
    methods: ShownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Metrics by the share of the picture that an instance's box takes, with their 95 % intervals.

    Example: amdm-bench plot sizes runs/mini --out sizes.pdf
    """
    from bench.report.plots.of_runs import sizes

    _panels(sizes, runs, out, metrics, methods, as_json)


@app.command()
def tradeoff(
    runs: RunsArgument,
    out: FigureOption,
    x: Annotated[str | None, Option(help="a metric, evaluations or seconds; default: evaluations where known")] = None,
    y: Annotated[str | None, Option(help="likewise; default: joint success where asked for, else ISR")] = None,
    methods: ShownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Two quantities against each other, a point a method.

    Example: amdm-bench plot tradeoff runs/combined --out tradeoff.pdf --x place --y colour_given_place
    """
    from bench.report.plots.charts import draw_spots
    from bench.report.plots.of_runs import read_runs, tradeoff

    _write(lambda: draw_spots(*tradeoff(read_runs(runs, _list(methods)), x, y)), out, as_json)


@app.command()
def heatmap(runs: RunsArgument, out: FigureOption, methods: ShownOption = None, as_json: JsonOption = False) -> None:
    """Colour asked for against colour found, of instances in their place.

    Example: amdm-bench plot heatmap runs/mini --out colours.pdf --methods interactdiffusion
    """
    from bench.report.plots.charts import colour_confusions, draw_heatmaps
    from bench.report.plots.of_runs import read_runs

    _write(lambda: draw_heatmaps(colour_confusions(read_runs(runs, _list(methods)))), out, as_json)


@app.command()
def handover(
    table: Annotated[Path, Argument(help="hand_over.csv, as `amdm-bench hand-over` writes it")],
    out: FigureOption,
    as_json: JsonOption = False,
) -> None:
    """Every property over the number of steps that an auxiliary draws before the target goes on.

    Example: amdm-bench plot handover reports/combined/hand_over.csv --out handover.pdf
    """
    from bench.report.plots.charts import draw_panels
    from bench.report.plots.of_runs import hand_over_panels

    _write(lambda: draw_panels(hand_over_panels(table)), out, as_json)


@app.command()
def samples(
    runs: RunsArgument,
    out: FigureOption,
    keys: Annotated[
        str | None, Option(help="keys of layouts, with commas; default: four, balanced over levels")
    ] = None,
    seed: Annotated[int | None, Option(help="default: the run's first", min=0)] = None,
    methods: ShownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pictures side by side: methods in rows, layouts in columns, with boxes and labels.

    Example: amdm-bench plot samples runs/mini --keys 3,17 --out samples.pdf
    """
    from bench.report.plots.of_runs import read_runs
    from bench.report.plots.samples import draw_samples, read_samples

    _write(lambda: draw_samples(read_samples(read_runs(runs, _list(methods)), _list(keys), seed)), out, as_json)


def _panels(
    panels: Callable[[Together, Sequence[str]], list[Panel]],
    runs: list[Path],
    out: Path,
    metrics: str,
    methods: str | None,
    as_json: bool,
) -> None:
    """Draw a panel a metric."""
    from bench.report.plots.charts import draw_panels
    from bench.report.plots.of_runs import read_runs

    _write(lambda: draw_panels(panels(read_runs(runs, _list(methods)), names(metrics))), out, as_json)


def _list(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else names(text)


def _write(draw: Callable[[], Figure], out: Path, as_json: bool) -> None:
    """Draw a figure, if it can be written there, and write it."""
    from bench.report.plots.charts import check_target, save

    check_target(out)
    save(draw(), out)
    tell(f"wrote {out}", {"figure": out}, as_json)
