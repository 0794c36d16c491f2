"""Several runs in one table, and published figures beside them, never ranked across layout sets or judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from amdm.errors import InputError
from amdm.io.files import make_folder, write_whole
from bench.report.columns import USUAL_COLUMNS
from bench.report.files import as_csv
from bench.report.latex import Block, Row, columns_of, latex_table, missing_notes, rows_of
from bench.report.measured import Measured
from bench.report.published import AS_STATED, published, published_blocks
from bench.report.tables import TableInfo, levels_of, remarks_markdown
from bench.report.text import as_markdown, as_page


def combined_table(runs: Sequence[Measured]) -> pd.DataFrame:
    """Rows of Table 1 of each run, with the columns run, layouts, judge and world before them.

    Raises:
        InputError: two runs of one name.
    """
    if len({run.name for run in runs}) < len(runs):
        raise InputError("two runs have one name", field="run")
    tables = []
    for run in runs:
        info, table = run.info, run.table1.copy()
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
    return as_page(parts)


def combined_latex(runs: Sequence[Measured], with_published: bool, columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """The same as one tabular: a block for each pair of layout set and judge, published figures below."""
    blocks: dict[str, list[Row]] = {}
    notes: list[str] = []
    for run in runs:
        info = run.info
        heading = f"{info.layouts} ({info.layout_hash[:12]}), judge {info.judge}"
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
        write_whole(folder / name, content)
    return page
