"""Advice on how models should draw together: the settings, their reasons, and what they gained on other layouts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import printable
from amdm.io.files import make_folder, write_whole
from amdm.output import plain
from bench.cocomig.metrics import METRICS
from bench.report.joint import SHOWN
from bench.report.tables import TableInfo, beside_verdicts
from bench.report.text import as_markdown, bounds_text
from bench.report.trial_tables import failed_markdown

FILES = ("advice.md", "advice.json", "preset.yaml")
CONFIRMING = "confirming run"
HOLDS, OPEN, WORSE = "it is better", "it is open", "it is worse"


@dataclass(frozen=True)
class Advice:
    """Settings for models that draw one picture together.

    models: the target first. name: of the preset. method: the settings as they stand in a file of presets. overrides:
    the same as ``--set`` takes them, on the target's own preset. order: the metrics that decide, the first that
    differs. unread: of what the layouts ask for, what none of the models reads; it is not judged. evaluations, alone:
    guided calls a picture, and of the target alone. spent: guided calls of the probes, and of the confirming run.
    reasons: sentences. curves, distances, tried: what the probes had (fractions). confirmed: metrics of the confirming
    run, by method. gains, there: metric, against, method, other, difference, low, high (bounds that hold for all rows
    of a metric at once), verdict. probes, confirming: of which layouts.
    """

    models: tuple[str, ...]
    name: str
    method: dict[str, Any]
    overrides: tuple[str, ...]
    order: tuple[str, ...]
    unread: tuple[str, ...]
    evaluations: int
    alone: int
    spent: dict[str, int]
    reasons: tuple[str, ...]
    curves: pd.DataFrame
    distances: pd.DataFrame
    tried: pd.DataFrame
    confirmed: pd.DataFrame
    gains: pd.DataFrame
    probes: TableInfo
    confirming: TableInfo

    def __str__(self) -> str:
        return advice_markdown(self)

    def _repr_markdown_(self) -> str:
        """The page in a notebook."""
        return advice_markdown(self)

    def document(self) -> dict[str, Any]:
        """For programs; tables as lists of rows, what is unknown as None."""
        names = (
            "models",
            "name",
            "method",
            "overrides",
            "order",
            "unread",
            "evaluations",
            "spent",
            "reasons",
            *_TABLES,
        )
        found = {name: getattr(self, name) for name in (*names, "probes", "confirming")}
        return dict(plain({**found, "evaluations_alone": self.alone, "gains_are_of": CONFIRMING}))


_TABLES = ("curves", "distances", "tried", "confirmed", "gains")


def write_advice(folder: Path, advice: Advice, preset: str) -> None:
    """``advice.md``, ``advice.json`` and ``preset.yaml``, whose text is ``preset``."""
    make_folder(folder)
    document = json.dumps(advice.document(), indent=2, ensure_ascii=False, allow_nan=False)
    for name, text in zip(FILES, (advice_markdown(advice), document + "\n", preset), strict=True):
        write_whole(folder / name, text.encode())


def advice_markdown(advice: Advice) -> str:
    """The advice as a page."""
    order = [*advice.order, *(name for name in ("isr", *SHOWN) if name not in advice.order)]
    aggregation = advice.method["aggregation"]
    parts = [
        f"# Advice: {' with '.join(advice.models)}",
        f"Probes: {advice.probes.measured_on}, the same noise in all settings. {_labels(advice.order)} decide, the "
        f"first that differs.{_unread(advice.unread)} The figures of the probes are those that the settings were "
        "chosen by, and too good for that reason.",
        beside_verdicts(advice.probes),
        "## Settings",
        ", ".join(f"{name} {value}" for name, value in aggregation.items()) + f"; {advice.evaluations} evaluations a "
        f"picture (the target alone: {advice.alone}).",
        f"`preset.yaml` has them as `{advice.name}`. On the command line, with the preset `{advice.models[0]}`:",
        "\n".join(f"    --set '{one}'" for one in advice.overrides),
        "## Reasons",
        "\n".join(f"{k}. {reason}" for k, reason in enumerate(advice.reasons, 1)),
        f"## {CONFIRMING.capitalize()}: {advice.confirming.layouts}",
        f"The settings as advised, once, on {advice.confirming.measured_on}, none of them a probe. Paired differences; "
        "the 95 % intervals hold for all comparisons of a metric at once.",
        beside_verdicts(advice.confirming),
        "\n".join(_gain(row) for row in advice.gains.to_dict("records")),
        _failed(advice.confirmed, "the confirming run"),
        as_markdown(_percent(advice.confirmed, order)),
        "## Probes",
        f"They took {advice.spent['probes']:,} evaluations, and the confirming run {advice.spent['confirming']:,}.",
        _failed(advice.tried, "the probes"),
        as_markdown(_percent(advice.tried, order)),
        "### Hand-over curves",
        "The auxiliary alone draws the first k steps, then the target goes on from its state. Per cent.",
        as_markdown(_percent(advice.curves, order), ".1f"),
        "### Distances to the means",
        "‖x′−μ‖/√dim by step of the window, the letter at η 0; a longer η goes past the mean.",
        as_markdown(advice.distances, ".3f"),
        f"Judge `{advice.probes.judge}`. Made by `{advice.probes.command}`.",
    ]
    return printable("\n\n".join(part for part in parts if part) + "\n", keep="\n")


def verdict_of(low: float, high: float) -> str:
    """What an interval says of a difference; one that is not known (NaN) leaves it open."""
    return HOLDS if low > 0 else WORSE if high < 0 else OPEN


def _gain(row: Mapping[Any, Any]) -> str:
    bounds = bounds_text(row["difference"], row["low"], row["high"])
    other = "" if row["other"] == row["against"] else f" ({row['other']})"
    return f"- {METRICS[row['metric']].label}, less {row['against']}{other}: {bounds} points; {row['verdict']}."


def _unread(conditions: Sequence[str]) -> str:
    asked = f" Layouts also ask for {' and '.join(conditions)}, which none of the models reads: not judged here."
    return asked if conditions else ""


def _labels(order: Sequence[str]) -> str:
    return ", ".join(METRICS[name].label for name in order)


def _failed(table: pd.DataFrame, where: str) -> str:
    return failed_markdown(dict(zip(table["method"], table["failed"], strict=True)), where)


def _percent(table: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """For readers: what a row is, the metrics in per cent, evaluations."""
    about = [name for name in ("stage", "method", "auxiliary", "k") if name in table]
    shown = table[about].copy()
    for name in (one for one in order if one in table):
        shown[METRICS[name].label] = 100 * table[name].astype(float)
    return shown.assign(**{name: table[name] for name in ("evaluations",) if name in table})
