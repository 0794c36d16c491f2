"""Two runs beside each other: every setting that differs, and the metrics of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cocomig.metrics import METRICS, averages, metric_table
from bench.report.gate import conditions_of_run
from bench.report.text import as_markdown, as_page
from bench.run.info import RunInfo
from bench.run.read import read_table

SHOWN = {"first": "first", "second": "second", "difference": "second − first"}
"""Columns, and what they are called for readers."""


def run_diff(first: Path, second: Path) -> dict[str, Any]:
    """``settings``: of each that differs its field, and what it is in both (None: there is none). ``metrics``: of each
    method and metric, over all levels, the fraction in both and the second less the first; None where one has none.

    Runs may differ in anything; where they hold the same layouts, :func:`bench.report.compare.compare_runs` pairs them.

    Raises:
        InputError: one is no run; of one with verdicts on interactions or styles, the layouts are not there.
    """
    settings = [dict(_leaves(RunInfo.read(run).settings.by_name())) for run in (first, second)]
    metrics = [_averages(run) for run in (first, second)]
    changed = [
        {"field": name, "first": settings[0].get(name), "second": settings[1].get(name)}
        for name in sorted({*settings[0], *settings[1]})
        if settings[0].get(name) != settings[1].get(name)
    ]
    rows = []
    for method, metric in dict.fromkeys([*metrics[0], *metrics[1]]):
        values = [one.get((method, metric)) for one in metrics]
        difference = None if values[0] is None or values[1] is None else values[1] - values[0]
        rows.append(
            {"method": method, "metric": metric, "first": values[0], "second": values[1], "difference": difference}
        )
    return {"first": str(first), "second": str(second), "settings": changed, "metrics": rows}


def diff_markdown(found: dict[str, Any]) -> str:
    """For readers; metrics in per cent."""
    rows = [
        {
            "method": row["method"],
            "metric": METRICS[row["metric"]].label,
            **{shown: math.nan if row[name] is None else 100 * row[name] for name, shown in SHOWN.items()},
        }
        for row in found["metrics"]
    ]
    settings = [f"- {row['field']}: {row['first']!r}, {row['second']!r}" for row in found["settings"]]
    return as_page(
        [
            f"# {found['first']} and {found['second']}",
            "\n".join(settings) or "The settings are the same.",
            as_markdown(pd.DataFrame(rows)) or "Neither is judged.",
        ]
    )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The innermost values of nested settings, by the path to them."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _averages(run: Path) -> dict[tuple[str, str], float]:
    verdicts = read_table(run, "verdicts")
    if verdicts.empty:
        return {}
    table = metric_table(verdicts, intervals=False, conditions=conditions_of_run(run))
    return {
        (method, name): float(row[name])
        for method, row in averages(table).items()
        for name in METRICS
        if name in row and not math.isnan(row[name])
    }
