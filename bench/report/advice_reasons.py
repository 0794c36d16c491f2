"""Reasons of advice in plain sentences, with the numbers that they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.cocomig.metrics import METRICS
from bench.generators.pull_back import DISTANCE


def about_singles(singles: pd.DataFrame, target: str, order: Sequence[str]) -> str:
    """What each model has alone, and whether another one would be the better target.

    Args:
        singles: metrics (fractions) with the models' names as index. order: the metrics that decide.
    """
    metric = deciding(singles, order)
    best = str(singles[metric].fillna(-1.0).idxmax())
    shown = "; ".join(f"{METRICS[name].label}: {_each(singles[name])}" for name in order if name in singles)
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


def _each(column: pd.Series) -> str:
    return ", ".join(f"{name} {_percent(value)}" for name, value in column.items())


def _percent(value: float) -> str:
    return "no value" if pd.isna(value) else f"{100 * value:.1f} %"
