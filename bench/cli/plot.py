"""``amdm-bench plot`` and ``paper``: figures of runs for papers, and the table and figures of the paper itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from amdm.errors import InputError
from amdm.output import JsonOption, tell
from bench.cli import options as opt
from bench.cli.options import names
from bench.cli.report import USUAL, ColumnsOption
from bench.run.places import to_read

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.report.measured import Together
    from bench.report.plots.charts import Panel


app = Typer(no_args_is_help=True, help="Figures for papers: levels, sizes, trade-off, heatmap, hand-over, samples.")

RunsArgument = Annotated[list[str], Argument(help="run folders, or their URLs, all on the same layouts")]
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
    from bench.report.plots.of_runs import tradeoff

    _write(lambda: draw_spots(*tradeoff(_read(runs, methods), x, y)), out, as_json)


@app.command()
def heatmap(runs: RunsArgument, out: FigureOption, methods: ShownOption = None, as_json: JsonOption = False) -> None:
    """Colour asked for against colour found, of instances in their place.

    Example: amdm-bench plot heatmap runs/mini --out colours.pdf --methods interactdiffusion
    """
    from bench.report.plots.charts import colour_confusions, draw_heatmaps

    _write(lambda: draw_heatmaps(colour_confusions(_read(runs, methods))), out, as_json)


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
    from bench.report.plots.samples import draw_samples, read_samples

    _write(lambda: draw_samples(read_samples(_read(runs, methods, True), _list(keys), seed)), out, as_json)


def _panels(
    panels: Callable[[Together, Sequence[str]], list[Panel]],
    runs: list[str],
    out: Path,
    metrics: str,
    methods: str | None,
    as_json: bool,
) -> None:
    """Draw a panel a metric."""
    from bench.report.plots.charts import draw_panels

    _write(lambda: draw_panels(panels(_read(runs, methods), names(metrics))), out, as_json)


def _read(runs: list[str], methods: str | None, pictures: bool = False) -> Together:
    """pictures: those of runs in remote folders are fetched."""
    from bench.report.plots.of_runs import read_runs

    return read_runs([to_read(run, pictures) for run in runs], _list(methods))


def _list(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else names(text)


def _write(draw: Callable[[], Figure], out: Path, as_json: bool) -> None:
    """Draw a figure, if it can be written there, and write it."""
    from bench.report.plots.charts import check_target, save

    check_target(out)
    save(draw(), out)
    tell(f"wrote {out}", {"figure": out}, as_json)


paper = Typer(no_args_is_help=True, help="The paper's Table 1, as published, and its figures 4 to 6, drawn here.")


@paper.command()
def table1(
    columns: ColumnsOption = USUAL,
    out: Annotated[Path | None, Option(help="write it here; default: print it")] = None,
    as_json: JsonOption = False,
) -> None:
    """The paper's Table 1 in LaTeX: what its authors published, nothing measured.

    Example: amdm-bench paper table1 --columns isr,seconds
    """
    from bench.report.combined import paper_table1

    table = paper_table1(opt.names(columns))
    if out is not None:
        opt.write_file(out, table.encode())
    tell(table if out is None else f"wrote {out}", {"table": out, "latex": table}, as_json)


@paper.command()
def figure(
    number: Annotated[int, Argument(help="4: MIGC into InteractDiffusion, 5: IP-Adapter, 6: both")],
    out: FigureOption,
    profile: opt.ProfileOption = "auto",
    layouts: opt.LayoutsOption = None,
    keys: Annotated[
        str | None, Option(help="of --layouts (mini: by default mini-combined), with commas; default: three")
    ] = None,
    seed: Annotated[int, Option(help="of the initial noise", min=0)] = 0,
    device: opt.DeviceOption = "auto",
    dtype: opt.DtypeOption = "auto",
    weights_dir: opt.WeightsDirOption = None,
    random_weights: opt.RandomWeightsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw the paper's figure 4, 5 or 6 with its presets: methods in rows, layouts in columns.

    By default on the layout that is shipped for it; in the mini world on three of mini-combined.

    Example: amdm-bench paper figure 4 --out figure4.pdf
    """
    from amdm import AMDMPipeline
    from amdm.model_set import LoadOptions
    from amdm.profiles import chosen_profile
    from bench.layouts.layout_set import Entry
    from bench.layouts.named import load_layouts
    from bench.report.plots.charts import check_target, save
    from bench.report.plots.samples import chosen_entries, draw_figure, draw_samples, example_entry, methods_of

    check_target(out)
    chosen = "paper" if random_weights and profile == "auto" else chosen_profile(profile)[0]
    loading = LoadOptions.parse(chosen, weights_dir, device, dtype, random_weights)
    methods_of(number, chosen)
    if keys is not None and layouts is None and chosen != "mini":
        raise InputError("goes with --layouts: the figure's own layout has none", field="keys")
    if layouts is None and chosen == "mini":
        layouts = "mini-combined"
    if layouts is None:
        entries: tuple[Entry, ...] = (example_entry(chosen, number),)
    else:
        layout_set = load_layouts(layouts)
        opt.say_notes(layout_set)
        entries = chosen_entries(layout_set.entries, None if keys is None else opt.names(keys), count=3)

    def load(method: str) -> AMDMPipeline:
        pipe = AMDMPipeline.from_pretrained(
            chosen,
            method,
            device=loading.device,
            dtype=loading.dtype,
            weights_dir=loading.weights_dir,
            random_weights=random_weights,
        )
        pipe.set_progress_bar_config(desc=method, unit="step")
        return pipe

    save(draw_samples(draw_figure(number, chosen, entries, seed, load)), out)
    text = f"wrote {out} ({chosen} profile{', random weights' if random_weights else ''})"
    tell(text, {"figure": out, "profile": chosen, "random_weights": random_weights}, as_json)
