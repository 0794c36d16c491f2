"""Several runs in one table, and published figures beside them, never ranked across layout sets or judges."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.io.files import make_folder, write_atomic
from bench.cocomig.metrics import METRICS, Estimate
from bench.report.columns import USUAL_COLUMNS
from bench.report.latex import Block, Column, Row, columns_of, latex_table, missing_notes, rows_of
from bench.report.measured import Measured, check_names
from bench.report.tables import BY_LEVEL, NAN, levels_of, remarks_markdown
from bench.report.text import as_csv, as_markdown, as_page

NOT_COMPARABLE = "Per cent. Rows of different sections are not comparable: other layouts or another judge."
LEVELS = ("L2", "L3", "L4", "L5", "L6", "Avg")
AS_STATED = (
    "As their sources state them, some with digits cut instead of rounded, some of other seeds or another definition "
    "of mIoU: not measured here, and not to be ranked with the rows above. Mini-world rows have nothing to do with "
    "them."
)
NOT_MEASURED = "As its authors published it; not measured here."
PAPER = "AMDM paper"
"""The group of published.csv that is the paper's own Table 1."""


def combined_table(runs: Sequence[Measured]) -> pd.DataFrame:
    """Rows of Table 1 of each run, with the columns run, layouts, judge and world before them.

    Raises:
        InputError: two runs of one name.
    """
    check_names(runs)
    tables = []
    for run in runs:
        info, table = run.info, run.table1.copy()
        world = "mini world" if "(mini world)" in info.title else ""
        about = {
            "run": f"{run.name} (--force)" if info.forced else run.name,
            "layouts": _layouts(run),
            "judge": info.judge,
            "world": world,
        }
        for k, (column, value) in enumerate(about.items()):
            table.insert(k, column, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _layouts(run: Measured) -> str:
    """The set, and which part of it: runs of other layouts are not ranked with each other."""
    info, shard = run.info, run.settings.job.shard
    of_all = "" if shard is None else "shard {} of {}".format(*shard)
    return ", ".join(one for one in (f"{info.layouts} ({info.layout_hash[:12]})", info.part, of_all) if one)


def combined_markdown(table: pd.DataFrame, runs: Sequence[Measured], with_published: bool) -> str:
    """One section for each layout set, part of it and judge; published figures apart.

    table: of :func:`combined_table`, of these runs.
    """
    parts = ["# Runs side by side", NOT_COMPARABLE]
    for (layouts, judge, world), rows in table.groupby(["layouts", "judge", "world"], sort=False):
        parts.append(f"## {layouts}, judge {judge}{f' ({world})' if world else ''}")
        own = [run.info for run in runs if (_layouts(run), run.info.judge) == (layouts, judge)]
        parts.append(remarks_markdown(dict.fromkeys(one for info in own for one in info.remarks)))
        parts.append(as_markdown(rows.drop(columns=["layouts", "judge", "world"])))
    if with_published:
        parts += ["# Published figures", AS_STATED]
        about = ["group", "layouts", "source"]
        for (group, layouts, source), rows in published().groupby(about, sort=False):
            parts.append(f"## {group}: {layouts}\n\nSource: {source}")
            parts.append(as_markdown(rows.drop(columns=about).dropna(axis="columns", how="all")))
    return as_page(parts)


def combined_latex(runs: Sequence[Measured], with_published: bool, columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """The same as one tabular: a block for each layout set, part of it and judge, published figures below."""
    blocks: dict[str, list[Row]] = {}
    notes: list[str] = []
    for run in runs:
        heading = f"{_layouts(run)}, judge {run.info.judge}"
        named = f"{run.name}: " if len(runs) > 1 else ""
        blocks.setdefault(heading, []).extend(replace(row, name=named + row.name) for row in rows_of(run))
        notes += [named + note for note in missing_notes(run)]
    found = [Block(heading, tuple(rows)) for heading, rows in blocks.items()]
    found += published_blocks().values() if with_published else ()
    chosen = columns_of(columns, levels_of(level for run in runs for level in run.metrics.level))
    return latex_table(chosen, found, [*notes, *([AS_STATED] if with_published else [])])


def write_combined(
    runs: Sequence[Measured], folder: Path, with_published: bool, columns: Sequence[str] = USUAL_COLUMNS
) -> str:
    """``combined.csv``, ``combined.md`` and ``combined.tex`` in ``folder``; returns the Markdown.

    columns: of ``combined.tex`` (:func:`bench.report.latex.columns_of`).

    Raises:
        InputError: two runs of one name.
    """
    table = combined_table(runs)
    page = combined_markdown(table, runs, with_published)
    files = {
        "combined.csv": as_csv(table, decimals=4),
        "combined.tex": combined_latex(runs, with_published, columns).encode(),
        "combined.md": page.encode(),
    }
    if with_published:
        files["published.csv"] = published().to_csv(index=False).encode()
    make_folder(folder)
    for name, content in files.items():
        write_atomic(folder / name, content)
    return page


def published() -> pd.DataFrame:
    """Published figures, per cent, in the form of Table 1, with the columns group, layouts and source."""
    with as_file(files("bench.data").joinpath("published.csv")) as path:
        table = pd.read_csv(path)
    shown = {f"{metric}_{level.lower()}": f"{METRICS[metric].label} {level}" for metric in BY_LEVEL for level in LEVELS}
    return table.rename(columns={**shown, "layout_set": "layouts", "seconds": "s/image"})


def published_blocks() -> dict[str, Block]:
    """Every group's rows, by its name; without intervals, so that none is ranked."""
    blocks = {}
    for (group, layouts, source), rows in published().groupby(["group", "layouts", "source"], sort=False):
        values = [Row(str(row["method"]), _values(row), ranked=False) for row in rows.to_dict("records")]
        blocks[str(group)] = Block(f"{group}: {layouts} ({source})", tuple(values))
    return blocks


def paper_table1(columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """The paper's Table 1 as its authors published it, in LaTeX. Raises InputError for a column that it lacks."""
    return latex_table(columns_of(columns, LEVELS), [published_blocks()[PAPER]], [NOT_MEASURED])


def _values(row: Mapping[Hashable, Any]) -> dict[Column, Estimate]:
    cells = {
        Column(metric, level): Estimate(row[f"{METRICS[metric].label} {level}"], NAN, NAN)
        for metric in BY_LEVEL
        for level in LEVELS
    }
    return {**cells, Column("seconds"): Estimate(row["s/image"], NAN, NAN)}
