"""Advice on how models should draw together: the settings, their reasons, and what they gained on other layouts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.io.files import make_folder, write_atomic
from amdm.output import plain
from bench.cocomig.metrics import METRICS
from bench.generators.pull_back import DISTANCE
from bench.report.joint import SHOWN
from bench.report.tables import TableInfo, remarks_markdown
from bench.report.text import as_markdown, as_page, bounds_text, in_per_cent
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

    _repr_markdown_ = __str__  # in a notebook

    def document(self) -> dict[str, Any]:
        """For programs; tables as lists of rows, what is unknown as None."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "alone"}
        return dict(plain({**found, "evaluations_alone": self.alone, "gains_are_of": CONFIRMING}))


def write_advice(folder: Path, advice: Advice, preset: str) -> None:
    """``advice.md``, ``advice.json`` and ``preset.yaml``, whose text is ``preset``."""
    make_folder(folder)
    document = json.dumps(advice.document(), indent=2, ensure_ascii=False, allow_nan=False)
    for name, text in zip(FILES, (advice_markdown(advice), document + "\n", preset), strict=True):
        write_atomic(folder / name, text.encode())


def advice_markdown(advice: Advice) -> str:
    """The advice as a page."""
    order = [*advice.order, *(name for name in ("isr", *SHOWN) if name not in advice.order)]
    aggregation, labels = advice.method["aggregation"], ", ".join(METRICS[name].label for name in advice.order)
    unread = f" Layouts also ask for {' and '.join(advice.unread)}, which none of the models reads: not judged here."
    parts = [
        f"# Advice: {' with '.join(advice.models)}",
        f"Probes: {advice.probes.measured_on}, the same noise in all settings. {labels} decide, the first "
        f"that differs.{unread if advice.unread else ''} The figures of the probes are those that the settings were "
        "chosen by, and too good for that reason.",
        remarks_markdown(advice.probes.remarks),
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
        remarks_markdown(advice.confirming.remarks),
        "\n".join(_gain(row) for row in advice.gains.to_dict("records")),
        failed_markdown(advice.confirmed.set_index("method").failed, "the confirming run"),
        as_markdown(_in_per_cent(advice.confirmed, order)),
        "## Probes",
        f"They took {advice.spent['probes']:,} evaluations, and the confirming run {advice.spent['confirming']:,}.",
        failed_markdown(advice.tried.set_index("method").failed, "the probes"),
        as_markdown(_in_per_cent(advice.tried, order)),
        "### Hand-over curves",
        "The auxiliary alone draws the first k steps, then the target goes on from its state. Per cent.",
        as_markdown(_in_per_cent(advice.curves, order), ".1f"),
        "### Distances to the means",
        "‖x′−μ‖/√dim by step of the window, the letter at η 0; a longer η goes past the mean.",
        as_markdown(advice.distances, ".3f"),
        f"Judge `{advice.probes.judge}`. Made by `{advice.probes.command}`.",
    ]
    return as_page(parts)


def verdict_of(low: float, high: float) -> str:
    """What an interval says of a difference; one that is not known (NaN) leaves it open."""
    return HOLDS if low > 0 else WORSE if high < 0 else OPEN


def _gain(row: Mapping[Any, Any]) -> str:
    bounds = bounds_text(row["difference"], row["low"], row["high"])
    other = "" if row["other"] == row["against"] else f" ({row['other']})"
    return f"- {METRICS[row['metric']].label}, less {row['against']}{other}: {bounds} points; {row['verdict']}."


def _in_per_cent(table: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """For readers: what a row is, the metrics in per cent, evaluations."""
    about = [name for name in ("stage", "method", "auxiliary", "k") if name in table]
    numbers = table[[name for name in order if name in table]].astype(float)
    costs = {name: table[name] for name in ("evaluations",) if name in table}
    return table[about].assign(**in_per_cent(numbers, order), **costs)


def about_singles(singles: pd.DataFrame, target: str, order: Sequence[str]) -> str:
    """What each model has alone, and whether another one would be the better target.

    Args:
        singles: metrics (fractions) with the models' names as index. order: the metrics that decide.
    """
    metric = deciding(singles, order)
    best = str(singles[metric].fillna(-1.0).idxmax())
    shown = "; ".join(
        f"{METRICS[name].label}: {', '.join(f'{model} {_percent(value)}' for model, value in singles[name].items())}"
        for name in order
        if name in singles
    )
    text = f"What the models have alone. {shown}."
    if best != target and singles[metric][best] > singles[metric][target]:
        text += f" Of {METRICS[metric].label} {best} has more than the target: ask again with it first, too."
    return text


def about_window(curves: pd.DataFrame, first_step: int, end: int, metric: str | None) -> str:
    """Why the window is steps ``first_step`` … ``end − 1``.

    Args:
        metric: the one that was chosen by; None where no curve goes above the target alone.
    """
    window = f"the window is steps {first_step} to {end - 1}, s = {end - first_step}"
    if metric is None:
        return f"Handing over raises none of the metrics that decide above the target alone: {window}, as is usual."
    mean = curves.groupby("k")[metric].mean()
    several = ", on average over the auxiliaries," if curves["auxiliary"].nunique() > 1 else ""
    rise = f"{_percent(mean[first_step])} to {_percent(mean[end])}"
    text = (
        f"If the auxiliary draws the first {end} steps in place of {first_step}, {METRICS[metric].label}{several} goes "
        f"from {rise}, the largest rise between two points of the curve: {window}."
    )
    return text if first_step == 0 else f"{text} The target alone has {_percent(mean[0])}."


def about_eta(
    distances: pd.DataFrame, tried: pd.DataFrame, chosen: str, order: Sequence[str], published: dict[str, float]
) -> str:
    """Why the letter has this noise and η.

    Args:
        distances: columns noise, step, model, distance_to_mean. tried: the letter's variants by name (the index).
        chosen: one of them. published: the authors' η over √dim, by model.
    """
    metric = deciding(tried, order)
    nearest = [
        min(own.to_dict("records"), key=lambda row: float(row[DISTANCE]))
        for _, own in distances.groupby(["noise", "model"], sort=False)
    ]
    near = "; ".join(
        f"{row[DISTANCE]:.3f} from the mean of {row['model']} (step {row['step']}, {row['noise']} noise)"
        for row in nearest
    )
    shown = "; ".join(f"{name} {_percent(value)}" for name, value in tried[metric].items())
    return (
        f"Over √dim, x′ comes as near as {near}. η is therefore 0 or half of that. "
        f"{METRICS[metric].label}: {shown}; so {chosen}. {_overshoots(distances, published)}"
    )


def _overshoots(distances: pd.DataFrame, published: dict[str, float]) -> str:
    """Where the published η is longer than the distance."""
    found = []
    for (noise, model), own in distances.groupby(["noise", "model"], sort=False):
        past = own[own[DISTANCE] < published[str(model)]]
        if len(past):
            steps = ", ".join(map(str, past.step))
            found.append(f"{published[str(model)]:g} for {model} with {noise} noise in step {steps}")
    if not found:
        return "The published η is shorter than every mean distance."
    return f"The published η is longer than the mean distance, and goes past the mean: {'; '.join(found)}."


def about_choice(tried: pd.DataFrame, chosen: str, order: Sequence[str], most: int) -> str:
    """Why this composition.

    Args:
        tried: the short list by name (the index). most: evaluations a picture that all of them may have.
    """
    metric = deciding(tried, order)
    others = tried.drop(index=chosen)
    text = (
        f"Of {len(tried)} settings at no more than {most} evaluations a picture, {chosen} is the best with "
        f"{_percent(tried[metric][chosen])} of {METRICS[metric].label}"
    )
    if len(others):
        second = str(others[metric].fillna(-1.0).idxmax())
        text += f"; next is {second} with {_percent(others[metric][second])}"
    equal = [name for name in others.index if others[metric][name] == tried[metric][chosen]]
    if equal:
        text += f" ({len(equal)} have as much, and the next metrics or the order of the list decided)"
    return text + "."


def about_single(choice: Mapping[Any, float], single: str, alone: Mapping[Any, float], order: Sequence[str]) -> str:
    """What the probes say of the choice against the best single model: the metrics of both (fractions)."""
    metric = deciding(pd.DataFrame([choice, alone]), order)
    label, both = METRICS[metric].label, f"{_percent(choice[metric])} against {_percent(alone[metric])}"
    if choice[metric] > alone[metric]:
        return f"On the probes that is more {label} than the best single model, {single}, has: {both}."
    return (
        f"On the probes that is no more {label} than the best single model, {single}, has: {both}. Drawing together "
        "may not pay here."
    )


def deciding(table: pd.DataFrame, order: Sequence[str]) -> str:
    """The first of the metrics in which rows differ; the first of all where none does."""
    there = [name for name in order if name in table]
    return next((name for name in there if table[name].nunique(dropna=False) > 1), order[0])


def about_cost(evaluations: int, alone: int, spent: int) -> str:
    """What a picture costs, and what the probes took."""
    more = f"{evaluations / alone:.2f} times the target alone, which has {alone}"
    return f"A picture costs {evaluations} evaluations, {more}. The probes took {spent:,} evaluations in all."


def _percent(value: float) -> str:
    return "no value" if pd.isna(value) else f"{100 * value:.1f} %"
