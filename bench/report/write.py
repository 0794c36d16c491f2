"""Tables and pictures of a run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from amdm.io.files import make_folder, write_whole
from bench.batches import CEILING
from bench.cocomig.metrics import breakdown, over_seeds
from bench.conditions import unread
from bench.plan import Plan
from bench.pull_back import pull_back_table
from bench.report.contrasts import contrasts, contrasts_markdown, differences, differences_markdown
from bench.report.grid import balanced, picture_grid
from bench.report.html.page import write_page
from bench.report.joint import Rows, write_joint
from bench.report.latex import Block, columns_of, latex_table, missing_notes, rows_of
from bench.report.measured import Measured
from bench.report.names import USUAL_COLUMNS
from bench.report.tables import levels_of, pull_back_markdown, seeds_markdown, summary, table1_markdown
from bench.report.text import as_csv, as_parquet
from bench.run.images import read_image, stored_file
from bench.run.read import read_tables


def write_report(folder: Path, report: Path, plan: Plan | None = None, columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """Tables, picture grid and page of a run folder; returns the Markdown.

    plan: the run's, if it is resolved. columns: of ``table1.tex`` (:func:`bench.report.latex.columns_of`).

    Raises:
        InputError: nothing is judged yet, or the layouts are not those of this installation.
    """
    return write_measured(Measured.read(folder, plan), report, columns)


def write_measured(run: Measured, report: Path, columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """As :func:`write_report`, of records that were read."""
    page = write_tables(report, run, columns)
    if not run.conditions.empty:
        settings = run.settings.method_settings
        ignores = {name: unread(one["models"], run.asked) for name, one in settings.items()}
        write_joint(report, run, Rows.of(settings, ignores))
    entries = balanced(run.entries)
    grid, file = picture_grid(_pictures(run, {e.index for e in entries}), entries), BytesIO()
    grid.save(file, format="PNG")
    write_whole(report / "grid.png", file.getvalue())
    write_page([run], report)
    return page


def write_pages(runs: Sequence[Path], folder: Path, single_file: bool = False) -> Path:
    """``report.html`` in ``folder``: one run, or several on the same layouts side by side.

    Raises:
        InputError: nothing is judged yet, or the runs have different layouts or judges.
    """
    return write_page([Measured.read(run) for run in runs], folder, single_file)


def first_failure(folder: Path) -> str:
    """Why the first sample of a run failed; where none did, why the first picture could not be judged."""
    samples, events = read_tables(folder, "samples", "events")
    failed, judged = samples[samples["status"] == "failed"]["error"], events[events["what"].str.startswith("judge: ")]
    found = [*failed, *judged["what"]]
    return str(found[0]) if found else "no reason recorded"


def _pictures(run: Measured, wanted: set[int]) -> dict[str, dict[int, np.ndarray]]:
    samples, seed = run.samples, run.info.seeds[0]
    shown: dict[str, dict[int, np.ndarray]] = {name: {} for name in (*run.info.methods, CEILING)}
    first = samples[(samples.status == "ok") & (samples.seed == seed) & samples.layout_index.isin(wanted)]
    for row in first.to_dict("records"):
        path = stored_file(run.folder, row["image"])
        if row["method"] in shown and path is not None and path.is_file():
            shown[row["method"]][row["layout_index"]] = read_image(path)
    return {name: found for name, found in shown.items() if found}


def write_tables(folder: Path, run: Measured, columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """table1 as CSV, Markdown and LaTeX, all metrics by level, colour, category and size, a summary, the verdicts.

    Paired differences, distances and the spread over seeds where there are several methods, aggregates and seeds.
    Returns the Markdown.
    """
    verdicts, info, metrics = run.verdicts, run.info, run.metrics
    to_first, all_pairs = differences(run.sums, info.methods), contrasts(run.sums, info.methods)
    pulled = pull_back_table(run.samples)
    by_seed = over_seeds(verdicts[verdicts.method != CEILING]) if len(info.seeds) > 1 else pd.DataFrame()
    sections = [
        *(differences_markdown(to_first), pull_back_markdown(pulled)),
        *(contrasts_markdown(all_pairs), seeds_markdown(by_seed)),
    ]
    page = table1_markdown(run.table1, metrics, sections, run.samples, info)
    chosen = columns_of(columns, levels_of(metrics.level))
    latex = latex_table(chosen, [Block("", rows_of(run))], missing_notes(run))
    fractions = {
        "metrics": metrics,
        **{f"by_{by}": breakdown(verdicts, by) for by in ("colour", "category", "size")},
        "differences": to_first,
        "contrasts": all_pairs,
        "pull_back": pulled,
        "seeds": by_seed,
    }
    files = {
        "table1.csv": as_csv(run.table1, decimals=4),
        "table1.tex": latex.encode(),
        "table1.md": page.encode(),
        **{f"{name}.csv": as_csv(table) for name, table in fractions.items() if not table.empty},
        "summary.json": f"{json.dumps(summary(metrics, info), indent=2)}\n".encode(),
        "verdicts.parquet": as_parquet(verdicts),
    }
    make_folder(folder)
    for name, content in files.items():
        write_whole(folder / name, content)
    for name in fractions.keys() - {Path(file).stem for file in files}:
        (folder / f"{name}.csv").unlink(missing_ok=True)  # of an earlier run with other methods or seeds
    return page
