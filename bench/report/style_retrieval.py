"""Styles of a run's pictures at full size: how often the reference asked for is the likest, by method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from amdm.errors import InputError
from amdm.io.images import load_style
from bench.cocomig.intervals import ratio_interval
from bench.judges.clip_style import ClipStyleJudge
from bench.plan import Plan
from bench.run.images import read_stored
from bench.run.info import RunInfo, check_layouts
from bench.run.read import read_table


def retrieve_styles(run: Path, judge: ClipStyleJudge) -> pd.DataFrame:
    """Of every picture of a run: method, layout_index, seed, asked, found, success, margin; ``attrs["styles"]``: of K.

    A style picture whose file names no style (:attr:`bench.layouts.layout_set.Entry.style_name`) is one of its own,
    by its name. Each reference picture of the layouts is read and encoded once. The pictures of one method are judged
    together.

    Raises:
        InputError: the layouts name no style pictures, or no picture is there.
    """
    info = RunInfo.read(run)
    layout_set = Plan.resolve(info.job).layout_set
    check_layouts(layout_set, info.settings, run)
    named = {entry.style: entry.style_name or entry.style.stem for entry in layout_set.entries if entry.style}
    asked = {entry.index: named[entry.style] for entry in layout_set.entries if entry.style}
    if not named:
        raise InputError(f"the layouts {layout_set.name} name no style pictures", file=run, field="style")
    references = judge.features([np.asarray(load_style(path)) for path in named])
    styles = list(named.values())
    samples = read_table(run, "samples")
    samples = samples[(samples.status == "ok") & samples.layout_index.isin(list(asked))]
    tables = []
    for _, own in samples.groupby("method", sort=False):
        pictures = judge.features([read_stored(run, name) for name in own.image])
        read = judge.retrieve(pictures, references, styles)
        table = own[["method", "layout_index", "seed"]].assign(asked=own.layout_index.map(asked))
        table = table.assign(found=[one.found for one in read], margin=[one.margin for one in read])
        tables.append(table.assign(success=table.asked == table.found))
    if not tables:
        raise InputError("holds no picture of a layout with a style", file=run)
    columns = ["method", "layout_index", "seed", "asked", "found", "success", "margin"]
    found = pd.concat(tables, ignore_index=True)[columns]
    found.attrs["styles"] = len(set(styles))
    return found


def retrieval_table(found: pd.DataFrame) -> pd.DataFrame:
    """Per cent by method: style, its 95 % interval over layouts, what chance would give, and the number of pictures."""
    rows, styles = [], found.attrs["styles"]
    for method, own in found.groupby("method", sort=False):
        layouts = own.groupby("layout_index").success.agg(["sum", "size"]).astype(np.float64)
        low, high = (float(one) for one in ratio_interval(layouts["sum"].to_numpy(), layouts["size"].to_numpy()))
        value = 100 * float(own.success.mean())
        row = {"method": method, "style": value, "low": 100 * low, "high": 100 * high, "chance": 100 / styles}
        rows.append(row | {"n": len(own)})
    return pd.DataFrame(rows)
