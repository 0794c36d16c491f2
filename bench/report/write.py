"""Tables and pictures of a run folder; the same layouts across methods as one picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from amdm.errors import InputError, printable
from amdm.io.files import make_folder, write_atomic
from bench.cocomig.metrics import breakdown
from bench.generators.pull_back import pull_back_table
from bench.job.batches import CEILING
from bench.job.conditions import unread
from bench.job.plan import Plan
from bench.layouts.layout_set import Entry, balanced
from bench.report.columns import USUAL_COLUMNS
from bench.report.contrasts import contrasts, contrasts_markdown, differences, differences_markdown
from bench.report.html.page import write_page
from bench.report.joint import FILES, Rows, write_joint
from bench.report.latex import Block, columns_of, latex_table, missing_notes, rows_of
from bench.report.measured import Measured
from bench.report.tables import levels_of, pull_back_markdown, seeds_markdown, summary, table1_markdown
from bench.report.text import as_csv, as_parquet
from bench.run.images import read_image, stored_file
from bench.run.read import read_tables

TILE, GAP, HEADER, MARGIN = 192, 6, 18, 190
_INK = {"white": (150, 150, 150)}


def write_report(folder: Path, report: Path, plan: Plan | None = None) -> str:
    """Tables, picture grid and page of a run folder; returns the Markdown.

    plan: the run's, if it is resolved.

    Raises:
        InputError: nothing is judged yet, or the layouts are not those of this installation.
    """
    return write_measured(Measured.read(folder, plan), report)


def write_measured(run: Measured, report: Path, columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """As :func:`write_report`, of records that were read.

    columns: of ``table1.tex`` (:func:`bench.report.latex.columns_of`).
    """
    page = write_tables(report, run, columns)
    if run.conditions.empty:
        for name in FILES:
            (report / name).unlink(missing_ok=True)  # of an earlier run, or of verdicts that are gone
    else:
        settings = run.settings.method_settings
        ignores = {name: unread(one["models"], run.asked) for name, one in settings.items()}
        write_joint(report, run, Rows.of(settings, ignores))
    entries = balanced(run.entries)
    grid, file = picture_grid(_pictures(run, {e.index for e in entries}), entries), BytesIO()
    grid.save(file, format="PNG")
    write_atomic(report / "grid.png", file.getvalue())
    write_page([run], report)
    return page


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
        with suppress(InputError):  # torn, or not there: the page says which
            if row["method"] in shown:
                path = stored_file(run.folder, row["image"]) or Path("")
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
    sections = [
        *(differences_markdown(to_first), pull_back_markdown(pulled)),
        *(contrasts_markdown(all_pairs), seeds_markdown(run.by_seed)),
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
        "seeds": run.by_seed,
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
        write_atomic(folder / name, content)
    for name in fractions.keys() - {Path(file).stem for file in files}:
        (folder / f"{name}.csv").unlink(missing_ok=True)  # of an earlier run with other methods or seeds
    return page


def picture_grid(rows: Mapping[str, Mapping[int, np.ndarray]], entries: Sequence[Entry]) -> Image.Image:
    """A row of empty layouts, then a row a method; a column a layout.

    Args:
        rows: method → layout index → picture uint8 RGB (H, W, 3).
    """
    names = ["layout", *rows]
    width, height = MARGIN + len(entries) * (TILE + GAP), len(names) * (TILE + GAP) + HEADER
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, entry in enumerate(entries):
        draw.text((MARGIN + column * (TILE + GAP), 3), f"#{entry.key} (L{entry.level})", fill="black")
    for line, name in enumerate(names):
        top = HEADER + line * (TILE + GAP)
        draw.multiline_text((4, top + TILE // 2 - 8), name.replace("+", "\n+", 1).replace("@", "\n@"), fill="black")
        for column, entry in enumerate(entries):
            picture = None if line == 0 else rows[name].get(entry.index)
            if line == 0 or picture is not None:
                sheet.paste(_tile(picture, entry), (MARGIN + column * (TILE + GAP), top))
    return sheet


def _tile(picture: np.ndarray | None, entry: Entry) -> Image.Image:
    """One picture with boxes; without a picture the boxes alone, with their labels."""
    tile = Image.new("RGB", (TILE, TILE), (225, 225, 225))
    if picture is not None:
        tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(tile)
    for label, instance in zip(entry.labels, entry.layout.instances, strict=True):
        x1, y1, x2, y2 = (value * (TILE - 1) for value in instance.box)
        draw.rectangle((x1, y1, x2, y2), outline="magenta" if picture is not None else label.colour or "gray", width=1)
        if picture is None:
            text = f"{label.colour} {label.category}".strip()
            draw.text((x1 + 2, y1 + 1), printable(text), fill=_INK.get(label.colour, label.colour or "dimgray"))
    return tile
