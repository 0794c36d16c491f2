"""Several runs in one table, and published figures beside them, never ranked across layout sets or judges."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from amdm.errors import InputError, printable
from amdm.files import write_whole
from bench.metrics import metric_table
from bench.reporting import table_info
from bench.store import read_table
from bench.tables import as_markdown, latex, table1

LEVELS = ("L2", "L3", "L4", "L5", "L6", "Avg")


def combined_table(runs: Sequence[Path]) -> pd.DataFrame:
    """Rows of Table 1 of each run, with the columns run, layouts, judge and world before them.

    Raises:
        InputError: two runs of one name, or a run without verdicts.
    """
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        raise InputError("two runs have one name", field="run")
    tables = []
    for run, name in zip(runs, names, strict=True):
        info, verdicts = table_info(run), read_table(run, "verdicts")
        if verdicts.empty:
            raise InputError("nothing is judged yet", file=run)
        table = table1(metric_table(verdicts), read_table(run, "samples"), info)
        world = "mini world" if "(mini world)" in info.title else ""
        about = {
            "run": f"{name} (--force)" if info.forced else name,
            "layouts": f"{info.layouts} {info.layout_hash[:12]}",
            "judge": info.judge,
            "world": world,
        }
        for k, (column, value) in enumerate(about.items()):
            table.insert(k, column, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def published() -> pd.DataFrame:
    """Published figures, per cent, in the form of Table 1, with the columns group, layouts and source."""
    with as_file(files("bench.data").joinpath("published.csv")) as path:
        table = pd.read_csv(path)
    shown = {
        f"{metric}_{level.lower()}": f"{name} {level}"
        for metric, name in (("isr", "ISR"), ("miou", "mIoU"))
        for level in LEVELS
    }
    return table.rename(columns={**shown, "layout_set": "layouts", "seconds": "s/image"})


NOT_COMPARABLE = "Per cent. Rows of different sections are not comparable: other layouts or another judge."
AS_STATED = (
    "As their sources state them, some truncated, some of other seeds or another definition of mIoU: not measured "
    "here, and not to be ranked with the rows above. Mini-world rows have nothing to do with them."
)


def combined_markdown(table: pd.DataFrame, with_published: bool) -> str:
    """One section for each pair of layout set and judge; published figures apart."""
    parts = ["# Runs side by side", NOT_COMPARABLE]
    for (layouts, judge, world), rows in table.groupby(["layouts", "judge", "world"], sort=False):
        parts.append(f"## {layouts}, judge {judge}{f' ({world})' if world else ''}")
        parts.append(as_markdown(rows.drop(columns=["layouts", "judge", "world"])))
    if with_published:
        parts += ["# Published figures", AS_STATED]
        about = ["group", "layouts", "source"]
        for (group, layouts, source), rows in published().groupby(about, sort=False):
            parts.append(f"## {group}: {layouts}\n\nSource: {source}")
            parts.append(as_markdown(rows.drop(columns=about).dropna(axis="columns", how="all")))
    return printable("\n\n".join(parts) + "\n", keep="\n")


def write_combined(runs: Sequence[Path], folder: Path, with_published: bool) -> str:
    """``combined.csv``, ``combined.md`` and ``combined.tex`` in ``folder``; returns the Markdown."""
    table = combined_table(runs)
    page = combined_markdown(table, with_published)
    files = {
        "combined.csv": table.to_csv(index=False, float_format="%.4f"),
        "combined.tex": latex(table.drop(columns=["layouts", "judge"])),
        "combined.md": page,
    }
    if with_published:
        files["published.csv"] = published().to_csv(index=False)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content.encode())
    return page
