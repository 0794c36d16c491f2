"""Several runs in one table, and published figures beside them, never ranked across layout sets or judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from amdm.errors import InputError, printable
from amdm.io.files import write_whole
from bench.report.columns import USUAL_COLUMNS
from bench.report.html import figures
from bench.report.latex import (
    Block,
    Row,
    columns_of,
    cost_table,
    latex_table,
    measured_rows,
    missing_notes,
)
from bench.report.measured import Measured
from bench.report.published import AS_STATED, published, published_blocks
from bench.report.tables import TableInfo, remarks_markdown, table1
from bench.report.text import as_markdown


def combined_table(runs: Sequence[Measured]) -> pd.DataFrame:
    """Rows of Table 1 of each run, with the columns run, layouts, judge and world before them.

    Raises:
        InputError: two runs of one name.
    """
    if len({run.name for run in runs}) < len(runs):
        raise InputError("two runs have one name", field="run")
    tables = []
    for run in runs:
        info = run.info
        table = table1(run.metrics, run.samples, info)
        world = "mini world" if "(mini world)" in info.title else ""
        about = {
            "run": f"{run.name} (--force)" if info.forced else run.name,
            "layouts": _layouts(info),
            "judge": info.judge,
            "world": world,
        }
        for k, (column, value) in enumerate(about.items()):
            table.insert(k, column, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _layouts(info: TableInfo) -> str:
    return f"{info.layouts} {info.layout_hash[:12]}"


NOT_COMPARABLE = "Per cent. Rows of different sections are not comparable: other layouts or another judge."


def combined_markdown(table: pd.DataFrame, runs: Sequence[Measured], with_published: bool) -> str:
    """One section for each pair of layout set and judge; published figures apart.

    table: of :func:`combined_table`, of these runs.
    """
    parts = ["# Runs side by side", NOT_COMPARABLE]
    for (layouts, judge, world), rows in table.groupby(["layouts", "judge", "world"], sort=False):
        parts.append(f"## {layouts}, judge {judge}{f' ({world})' if world else ''}")
        own = [one for run in runs if _layouts(run.info) == layouts for one in run.info.remarks]
        parts += [remarks_markdown(dict.fromkeys(own))] if own else []
        parts.append(as_markdown(rows.drop(columns=["layouts", "judge", "world"])))
    if with_published:
        parts += ["# Published figures", AS_STATED]
        about = ["group", "layouts", "source"]
        for (group, layouts, source), rows in published().groupby(about, sort=False):
            parts.append(f"## {group}: {layouts}\n\nSource: {source}")
            parts.append(as_markdown(rows.drop(columns=about).dropna(axis="columns", how="all")))
    return printable("\n\n".join(parts) + "\n", keep="\n")


def combined_latex(runs: Sequence[Measured], with_published: bool, columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """The same as one tabular: a block for each pair of layout set and judge, published figures below."""
    blocks: dict[str, list[Row]] = {}
    levels: set[str] = set()
    notes: list[str] = []
    for run in runs:
        info = run.info
        results = table1(run.metrics, run.samples, info)
        levels |= set(run.metrics.level)
        heading = f"{info.layouts} ({info.layout_hash[:12]}), judge {info.judge}"
        named = f"{run.name}: " if len(runs) > 1 else ""
        rows = measured_rows(run.metrics, cost_table(results, run.samples), info.methods)
        blocks.setdefault(heading, []).extend(replace(row, name=named + row.name) for row in rows)
        notes += [named + note for note in missing_notes(results, info)]
    found = [Block(heading, tuple(rows)) for heading, rows in blocks.items()]
    found += published_blocks().values() if with_published else ()
    chosen = columns_of(columns, figures.levels_of(pd.DataFrame({"level": list(levels)})))
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
        "combined.csv": table.to_csv(index=False, float_format="%.4f"),
        "combined.tex": combined_latex(runs, with_published, columns),
        "combined.md": page,
    }
    if with_published:
        files["published.csv"] = published().to_csv(index=False)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content.encode())
    return page
