"""``amdm-bench paper``: the paper's own table, as published, and its qualitative figures, drawn here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from amdm.errors import InputError
from amdm.io.files import write_whole
from amdm.output import JsonOption, tell
from bench.cli import options as opt
from bench.cli.plot import FigureOption
from bench.cli.report import USUAL, ColumnsOption

app = Typer(no_args_is_help=True, help="The paper's Table 1, as published, and its figures 4 to 6, drawn here.")


@app.command()
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
        write_whole(out, table.encode())
    tell(table if out is None else f"wrote {out}", {"table": out, "latex": table}, as_json)


@app.command()
def figure(
    number: Annotated[int, Argument(help="4: MIGC into InteractDiffusion, 5: IP-Adapter, 6: both")],
    out: FigureOption,
    profile: opt.ProfileOption = "auto",
    layouts: opt.LayoutsOption = None,
    keys: Annotated[
        str | None, Option(help="of --layouts (mini: by default mini-combined), with commas; default: three")
    ] = None,
    seed: Annotated[int, Option(help="seed", min=0)] = 0,
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
    from amdm.model_set import Loading
    from amdm.profiles import chosen_profile
    from bench.layouts.layout_set import Entry
    from bench.layouts.named import load_layouts
    from bench.report.plots.charts import check_target, save
    from bench.report.plots.samples import chosen_entries, draw_figure, draw_samples, example_entry, methods_of

    check_target(out)
    chosen = "paper" if random_weights and profile == "auto" else chosen_profile(profile)[0]
    loading = Loading.parse(chosen, weights_dir, device, dtype, random_weights)
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
