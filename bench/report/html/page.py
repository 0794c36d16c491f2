"""A run as one page for a browser: tables, charts and pictures, in a file that asks no other place for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from amdm.errors import printable
from amdm.io.files import make_folder, write_atomic
from bench.cocomig.intervals import CONFIDENCE
from bench.cocomig.metrics import METRICS, Estimate, averages
from bench.job.batches import CEILING
from bench.report.combined import AS_STATED, published
from bench.report.html import figures
from bench.report.html.gallery import FATES, Pictures, gallery
from bench.report.measured import Measured, Together, together
from bench.report.palette import css_variables, mark_of
from bench.report.tables import BY_LEVEL, failed_lines, lacking, levels_of
from bench.report.text import NO_NUMBER, interval_text

PAGE = "report.html"
SCRIPTS = ("overlay.js", "gallery.js", "viewer.js", "start.js")
STYLES = ("page.css", "charts.css", "gallery.css", "print.css")


def write_page(runs: Sequence[Measured], folder: Path, single_file: bool = False) -> Path:
    """``report.html`` in ``folder``; whole pictures that are larger than thumbnails beside it, or in it too.

    Raises:
        InputError: the runs have different layouts or judges.
    """
    shown = together(runs)
    make_folder(folder)
    pictures = Pictures(folder, single_file)
    text = _template().render(_content(shown, pictures, single_file))
    write_atomic(folder / PAGE, text.encode("utf-8", "replace"))
    pictures.remove_others()
    return folder / PAGE


def _content(shown: Together, pictures: Pictures, single_file: bool) -> dict[str, Any]:
    """All that the template reads."""
    verdicts, metrics, results = shown.table("verdicts"), shown.table("metrics"), shown.table("table1")
    forests, comparisons = figures.paired_forests(shown.table("sums"), shown.generated)
    found = gallery(shown, pictures)
    script, style = _joined(SCRIPTS), f"{css_variables()}\n{_joined(STYLES)}"
    beside = "" if single_file else " 'self' file:"
    policy = f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; img-src data:{beside}; "
    return {
        "policy": f"{policy}base-uri 'none'; form-action 'none'",
        "script": Markup(script),
        "style": Markup(style),
        "runs": shown.runs,
        "first": shown.runs[0],
        "styles": shown.styles,
        "table": _table(shown, metrics, results),
        "wide": _metric_table(shown, metrics, figures.shown_metrics(metrics)),
        "joint": _metric_table(shown, metrics, figures.joint_metrics(metrics)),
        "missing": _missing(shown, results),
        "unjudged": list(dict.fromkeys(line for run in shown.runs for line in run.info.unjudged)),
        "notes": list(dict.fromkeys(line for run in shown.runs for line in run.info.notes)),
        "published": _published(shown),
        "as_stated": AS_STATED,
        "levels": figures.by_level(metrics, shown.methods),
        "sizes": figures.by_size(verdicts, shown.methods),
        "fates": figures.fates(metrics, shown.methods),
        "words": {kind: (letter, words) for kind, letter, words in FATES.values()},
        "confusions": figures.confusions(verdicts, shown.table("findings"), shown.methods),
        "recorded": bool(len(shown.table("findings"))),
        "forests": forests,
        "comparisons": comparisons,
        "confidence": f"{100 * CONFIDENCE:g} %",
        "gallery": found,
        "thumbnails": pictures.thumbnails,
        "whole": pictures.whole,
        "CEILING": CEILING,
    }


def _table(shown: Together, metrics: pd.DataFrame, results: pd.DataFrame) -> dict[str, Any]:
    """Table 1: groups of columns (a metric's levels), and of each method its cells, with intervals, and its costs."""
    levels = levels_of(metrics.level)
    rows = {(row["method"], row["level"]): row for row in metrics.to_dict("records")}
    costs = {row["method"]: row for row in results.to_dict("records")}
    lines = []
    for method in shown.methods:
        of_level = [rows.get((method, level), {}) for level in levels]
        groups = [[_cell(row, metric) for row in of_level] for metric in BY_LEVEL]
        cost = costs[method]
        seconds, peak = _number(cost["s/image"], ".2f"), _number(cost["peak MiB"], ".0f")
        counts = {"n": cost["n"], "of": cost["expected"]}
        lines.append({"method": method, "groups": groups, "seconds": seconds, "peak": peak, **counts})
    return {"levels": levels, "metrics": [METRICS[name].label for name in BY_LEVEL], "rows": lines}


def _metric_table(shown: Together, metrics: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    """Metrics over all levels: labels, whether more is better, and a line of cells a method."""
    average = averages(metrics)
    lines = [(name, [_cell(average[name], one) for one in names]) for name in shown.methods if name in average]
    return {"metrics": [METRICS[name] for name in names], "rows": lines}


def _cell(row: Mapping[Any, Any], metric: str) -> tuple[str, str]:
    """A value and its interval, per cent."""
    one = Estimate.of_row(row, metric)
    return _number(one.per_cent.value, ".2f"), "" if isnan(one.value) else interval_text(one.low, one.high)


def _number(value: float, form: str) -> str:
    return NO_NUMBER if isnan(value) else format(value, form)


def _missing(shown: Together, results: pd.DataFrame) -> list[str]:
    """Methods that lack pictures, and the first samples that failed."""
    lines = [
        f"{row['method']}: {row['n']} of {row['expected']} pictures were judged; the others are in no figure"
        for row in lacking(results)
    ]
    return [printable(line) for line in (*lines, *failed_lines(shown.table("samples")))]


def _published(shown: Together) -> dict[str, Any]:
    """Published figures: of each group its source and its rows. same: of the layouts that this page shows, by name."""
    table = published()
    columns = [name for name in table.columns if name not in ("group", "layouts", "source", "method")]
    groups = []
    for (group, layouts, source), rows in table.groupby(["group", "layouts", "source"], sort=False):
        lines = [(row["method"], [_number(row[name], ".2f") for name in columns]) for row in rows.to_dict("records")]
        groups.append({"group": group, "layouts": layouts, "source": source, "rows": lines})
    return {"columns": columns, "groups": groups, "mini": any(run.mini for run in shown.runs)}


@cache
def _template() -> Any:
    """The page's template, from the package; texts are escaped, and a name that is missing is an error."""
    environment = Environment(
        loader=FunctionLoader(lambda name: _text("templates", name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    environment.globals["mark_of"] = mark_of
    return environment.get_template("page.html")


def _joined(names: Sequence[str]) -> str:
    return "\n".join(_text("static", name) for name in names)


def _text(folder: str, name: str) -> str:
    return files("bench.report.html").joinpath(folder, name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """A source of scripts or styles that a browser lets run: these very bytes."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
