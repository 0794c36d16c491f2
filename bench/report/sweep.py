"""What a sweep tried, its Pareto front, and the confirming run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.cocomig.metrics import METRICS, Difference
from bench.report.joint import SHOWN
from bench.report.tables import TableInfo, remarks_markdown
from bench.report.text import (
    Written,
    as_markdown,
    as_page,
    bounds_text,
    in_per_cent,
    interval_texts,
    write_parquet,
    write_study,
)
from bench.report.trial_tables import failed_markdown

SHOWN_TRIALS = 50
COSTS = ("evaluations", "seconds")


@dataclass(frozen=True)
class Confirmed:
    """table: metrics by method. difference: the best trial's objective less the preset's. point: of the best trial.
    aggregation: as it stands in the best trial's settings."""

    table: pd.DataFrame
    difference: Difference | None
    info: TableInfo
    point: str
    aggregation: str


def pareto_front(trials: pd.DataFrame, objective: str) -> pd.DataFrame:
    """The trials that no other beats: none has as much of the objective for fewer evaluations, or more for as few.

    Args:
        trials: with the columns status, evaluations and ``objective``; those that are not "ok" do not count.

    Returns:
        The rows by ascending evaluations; of equal ones the first.
    """
    measured = trials[(trials.status == "ok") & trials[objective].notna()]
    ordered = measured.sort_values(["evaluations", objective], ascending=[True, False], kind="stable")
    before = ordered[objective].cummax().shift(fill_value=float("-inf"))
    return ordered[ordered[objective] > before]


def write_sweep(
    folder: Path, trials: pd.DataFrame, best: int, confirmed: Confirmed, info: TableInfo, objective: str
) -> Written:
    """``sweep.md``, ``trials.parquet`` and ``.csv``, ``pareto.csv`` and ``confirm.csv``."""
    front = pareto_front(trials, objective)
    write_parquet(folder, {"trials": trials})
    page = sweep_markdown(trials, front, best, confirmed, info, objective)
    return write_study(folder, "sweep", page, {"trials": trials, "pareto": front, "confirm": confirmed.table})


def sweep_markdown(
    trials: pd.DataFrame, front: pd.DataFrame, best: int, confirmed: Confirmed, info: TableInfo, objective: str
) -> str:
    """The tables as a page."""
    measured = trials[trials.status == "ok"].sort_values([objective, "evaluations"], ascending=[False, True])
    label = METRICS[objective].label
    parts = [
        f"# {info.title}",
        f"{len(trials)} trials on {info.measured_on}, judge `{info.judge}`. Per cent. {label} decides; the "
        "figures of the best trial here are those that it was chosen by, and too good for that reason.",
        remarks_markdown(info.remarks),
        f"## Confirming run: {confirmed.info.layouts}",
        _confirming(confirmed, best, label),
        failed_markdown(confirmed.table.set_index("method").failed),
        as_markdown(_percent(confirmed.table, objective)),
        f"## Pareto front: {label} against evaluations",
        as_markdown(_percent(front, objective)),
        f"## The best {min(len(measured), SHOWN_TRIALS)} trials",
        as_markdown(_percent(measured.head(SHOWN_TRIALS), objective)),
    ]
    others = trials[trials.status != "ok"]
    if len(others):
        parts += ["## Not measured", as_markdown(others[["trial", "status", "reason"]].head(SHOWN_TRIALS))]
    parts.append(f"Made by `{info.command}`.")
    return as_page(parts)


def _confirming(confirmed: Confirmed, best: int, label: str) -> str:
    text = (
        f"Trial {best} ({confirmed.point}), once, on layouts that nothing was chosen on: {confirmed.info.measured_on}; "
        f"its aggregation: {confirmed.aggregation}."
    )
    if (one := confirmed.difference) is None:
        return text
    return f"{text} {label}, the best trial less the preset: {bounds_text(one.value, one.low, one.high)} points."


def _percent(table: pd.DataFrame, objective: str) -> pd.DataFrame:
    """For readers: what was tried, metrics in per cent with the objective's interval, costs."""
    hidden = {"status", "reason", "failed", "images", "instances", *COSTS}
    own = [c for c in table.columns if c not in hidden and c.removesuffix("_low").removesuffix("_high") not in METRICS]
    shown = table[own].assign(**in_per_cent(table, dict.fromkeys((objective, "isr", *SHOWN))))
    if objective in table:
        interval = interval_texts(table[f"{objective}_low"], table[f"{objective}_high"])
        shown.insert(len(own) + 1, f"{METRICS[objective].label} 95 %", interval)
    return shown.assign(**{name: table[name] for name in COSTS})
