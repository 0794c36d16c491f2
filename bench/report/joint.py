"""What is right together, and whether an aggregate has more of it than every one of its models alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from bench.cocomig.action_style import OUTCOMES
from bench.cocomig.intervals import CONFIDENCE, simultaneous
from bench.cocomig.metrics import METRICS, averages, pairable, paired
from bench.job.batches import CEILING
from bench.layouts.named import load_layouts
from bench.report.measured import Measured
from bench.report.tables import NAN, TableInfo, missing_markdown, remarks_markdown, seeds_markdown
from bench.report.text import (
    as_markdown,
    as_page,
    bounds_texts,
    in_per_cent,
    with_intervals,
    write_parquet,
    write_study,
)

SHOWN = ("place", "colour_given_place", "action_given_place", "style", "joint_interaction", "joint_picture")
JUDGED = ("joint_interaction", "joint_picture")
"""What methods are compared by."""
CLAIMED_SET, CLAIMED = "mini-combined", "joint_interaction"
"""The layouts that the claim is about, and the metric that it is of; elsewhere comparisons are shown without it."""
CLAIM = "The aggregate's joint success exceeds that of every single model, interval above 0."
TABLES = ("joint", "joint_by_level", "joint_contrasts", "outcomes")
FILES = ("joint.md", *(f"{name}.csv" for name in TABLES), "interactions.parquet", "styles.parquet")
"""What :func:`write_joint` may write."""
BEST, SEMANTICS = "best single model", "semantics"
Compared = tuple[str, tuple[str, str]]
"""Why two methods are compared, and the two: the first less the second."""


@dataclass(frozen=True)
class Rows:
    """Which method is what.

    ignores: what the layouts ask for and no model of the method reads. singles: methods of one model. aggregates: of
    several, with their models. pulled: those with a pull-back, whose semantics are compared.
    """

    ignores: Mapping[str, tuple[str, ...]]
    singles: tuple[str, ...]
    aggregates: Mapping[str, tuple[str, ...]]
    pulled: frozenset[str]

    @classmethod
    def of(cls, settings: Mapping[str, Mapping[str, Any]], ignores: Mapping[str, tuple[str, ...]]) -> Rows:
        """From the settings of methods as a run records them."""
        models = {name: tuple(one["models"]) for name, one in settings.items()}
        several = {name: own for name, own in models.items() if len(own) > 1}
        pulled = frozenset(name for name in several if (settings[name].get("aggregation") or {}).get("pull_back"))
        return cls(ignores, tuple(name for name in models if name not in several), several, pulled)


def joint_table(metrics: pd.DataFrame, samples: pd.DataFrame, info: TableInfo, rows: Rows) -> pd.DataFrame:
    """One row a method: per cent of :data:`SHOWN`, intervals of :data:`JUDGED`, evaluations and seconds a picture.

    metrics: of :func:`bench.cocomig.metrics.metric_table`. Columns of what the layouts do not ask for are absent.
    """
    found, table = averages(metrics), []
    for method in (one for one in (*info.methods, CEILING) if one in found):
        own, done = found[method], samples[(samples.method == method) & (samples.status == "ok")]
        row: dict[str, object] = {"method": method, "ignores": ", ".join(rows.ignores.get(method, ()))}
        row |= in_per_cent(own, SHOWN)
        for name in (name for name in JUDGED if name in own):
            row |= {f"{METRICS[name].label} {bound}": 100 * own[f"{name}_{bound}"] for bound in ("low", "high")}
        seconds = NAN if method == CEILING else float(done.seconds.mean())
        table.append(row | {"evaluations": evaluations_of(done), "s/image": seconds, "n": int(own["images"])})
    return pd.DataFrame(table)


def joint_by_level(metrics: pd.DataFrame) -> pd.DataFrame:
    """Of a :func:`bench.cocomig.metrics.metric_table` the columns method, level, images and :data:`SHOWN`."""
    return metrics[["method", "level", "images", *(name for name in SHOWN if name in metrics)]]


def evaluations_of(samples: pd.DataFrame) -> float:
    """Guided calls of all models a picture, mean; NaN of what is not ours, of which nothing is known."""
    calls = calls_of(samples)
    return float(calls.mean()) if calls.any() else NAN


def calls_of(samples: pd.DataFrame) -> pd.Series:
    """Guided calls of all models for each picture of which they are known, with the index of ``samples``.

    Raises:
        InputError: a record holds something else.
    """
    told = samples.evaluations.dropna()
    return told.map({one: _calls(one) for one in told.unique()})


def _calls(text: str) -> float:
    """Of a record: JSON, by model how many."""
    try:
        count: float = sum(json.loads(text).values())
        finite = math.isfinite(count)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError("is not what a run records", field="samples.evaluations") from error
    if not finite:
        raise InputError("holds something that is not a number", field="samples.evaluations")
    return count


def outcome_table(interactions: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Per cent of all interactions by what became of their action, and their number; empty where there are none."""
    if interactions.empty:
        return pd.DataFrame()
    counts = interactions.groupby(["method", "outcome"]).size().unstack(fill_value=0)
    there = [name for name in (*methods, CEILING) if name in counts.index]
    counts = counts.reindex(index=there, columns=list(OUTCOMES), fill_value=0)
    total = counts.sum(axis=1)
    return counts.mul(100.0).div(total, axis=0).assign(interactions=total).rename_axis(columns=None).reset_index()


def joint_contrasts(sums: pd.DataFrame, rows: Rows, others: Sequence[Compared] | None = None) -> pd.DataFrame:
    """Every aggregate less the best single model, and ``others``, by default semantics of the same models against each
    other.

    Columns metric, against, method, other, difference, low, high (95 %, one pair chosen beforehand),
    simultaneous_low, simultaneous_high (all comparisons of a metric at once, Bonferroni), comparisons, pairs, and, of
    differences from the best single model, exceeds_every_single: the simultaneous lower bound is above 0 against each.
    Methods without a sample in common are not compared, and none exceeds what it cannot be compared with.

    Args:
        sums: of :func:`bench.cocomig.metrics.image_sums`.
    """
    there = set(sums.method)
    singles = [name for name in rows.singles if name in there]
    aggregates = [name for name in rows.aggregates if name in there]
    if not singles or not aggregates:
        return pd.DataFrame()
    further = _semantics(aggregates, rows) if others is None else [one for one in others if {*one[1]} <= there]
    table = []
    for metric in (one for one in JUDGED if METRICS[one].numerator in sums):
        totals, one = sums.groupby("method").sum(numeric_only=True), METRICS[metric]
        shares = totals[one.numerator] / totals[one.denominator].clip(lower=1)
        best = max(singles, key=lambda name: float(shares[name]))
        compared = _pairable(sums, [*((BEST, (name, best)) for name in aggregates), *further])
        strict = simultaneous(max(1, len(compared)))
        for against, (method, other) in compared:
            usual, all_at_once = (paired(sums, method, other, c)[metric] for c in (CONFIDENCE, strict))
            row = {"metric": metric, "against": against, "method": method, "other": other, "difference": usual.value}
            row |= {"low": usual.low, "high": usual.high, "simultaneous_low": all_at_once.low}
            row |= {"simultaneous_high": all_at_once.high, "comparisons": len(compared), "pairs": usual.pairs}
            exceeds = _exceeds(sums, method, singles, metric, strict) if against == BEST else None
            table.append(row | {"exceeds_every_single": exceeds})
    return pd.DataFrame(table)


def _pairable(sums: pd.DataFrame, compared: Sequence[Compared]) -> list[Compared]:
    known = set(pairable(sums, [pair for _, pair in compared]))
    return [one for one in compared if one[1] in known]


def _exceeds(sums: pd.DataFrame, method: str, singles: Sequence[str], metric: str, confidence: float) -> bool:
    """Whether the lower bound is above 0 against each."""
    pairs = pairable(sums, [(method, one) for one in singles])
    return len(pairs) == len(singles) and all(paired(sums, *pair, confidence)[metric].low > 0 for pair in pairs)


def _semantics(aggregates: Sequence[str], rows: Rows) -> list[Compared]:
    """Aggregates of the same models with a pull-back, the later less the earlier."""
    pulled = [one for one in aggregates if one in rows.pulled]
    return [(SEMANTICS, (b, a)) for a, b in combinations(pulled, 2) if rows.aggregates[a] == rows.aggregates[b]]


def write_joint(folder: Path, run: Measured, rows: Rows) -> None:
    """``joint`` as Markdown and CSV, by level, contrasts, what became of actions, and the verdicts as parquet."""
    metrics, conditions, info = run.metrics, run.conditions, run.info
    table, differences = joint_table(metrics, run.samples, info, rows), joint_contrasts(run.sums, rows)
    outcomes = outcome_table(conditions.interactions, info.methods)
    more = seeds_markdown(run.by_seed, SHOWN), missing_markdown(run.table1, run.samples)
    page = joint_markdown(table, outcomes, differences, info, *more)
    tables = (table, joint_by_level(metrics), differences, outcomes)
    write_study(folder, "joint", page, dict(zip(TABLES, tables, strict=True)))
    write_parquet(folder, {"interactions": conditions.interactions, "styles": conditions.styles})


def joint_markdown(
    table: pd.DataFrame, outcomes: pd.DataFrame, differences: pd.DataFrame, info: TableInfo, seeds: str, missing: str
) -> str:
    """The tables as a page. seeds, missing: the sections on them (:mod:`bench.report.tables`)."""
    about = (
        f"{info.measured_on}, judge `{info.judge}`. Per cent. *ignores*: asked for, and read by no model of the "
        "method. *action given place*: of interactions whose ends are in place. *joint by interaction*: "
        "both instances right in place and colour, and the action right. *joint by picture*: every instance, action "
        "and the style right. Intervals: 95 %, over layouts. evaluations: guided calls of all models, a picture."
    )
    title = f"# What is right together: {info.layouts}"
    parts = [title, about, remarks_markdown(info.remarks), as_markdown(joint_shown(table))]
    if not differences.empty:
        parts += [
            "## Against the best single model, and between semantics",
            _claim(differences, info),
            contrasts_shown(differences),
        ]
    parts.append(seeds)
    if not outcomes.empty:
        parts += ["## What became of the actions", as_markdown(outcomes)]
    return as_page([*parts, missing, f"Made by `{info.command}`."])


def _claim(differences: pd.DataFrame, info: TableInfo) -> str:
    """What the intervals are; of the claim's own layouts, for which methods it holds, or has held on a part of them."""
    comparisons = differences.comparisons.iloc[0]
    family = f"all {comparisons} comparisons of a metric at once"
    at_once = f"intervals that hold for {family} with {100 * CONFIDENCE:g} % (Bonferroni)"
    if info.layout_hash != load_layouts(CLAIMED_SET).hash:
        return f"Points, with {at_once}. The claim of docs/combined.md is of other layouts, `{CLAIMED_SET}`."
    own = differences[(differences.metric == CLAIMED) & (differences.against == BEST)]
    names = [f"`{name}`" for name in own[own.exceeds_every_single.astype(bool)].method]
    holds = f"It holds for {', '.join(names)}." if names else "It holds for none of them."
    if info.count < info.full_size:
        holds = f"On {info.count} of the {info.full_size} layouts that it is about: {holds[0].lower()}{holds[1:]}"
    return (
        f"The claim, fixed before anything was measured (docs/combined.md): *{CLAIM}* Here of "
        f"{METRICS[CLAIMED].label}, with {at_once}. **{holds}**"
    )


def joint_shown(table: pd.DataFrame) -> pd.DataFrame:
    """A :func:`joint_table` for readers."""
    return with_intervals(table, [METRICS[name].label for name in JUDGED if METRICS[name].label in table])


def contrasts_shown(differences: pd.DataFrame) -> str:
    """:func:`joint_contrasts` for readers."""
    shown = pd.DataFrame(
        {
            "of": [METRICS[name].label for name in differences.metric],
            "difference": [f"{one} − {two}" for one, two in zip(differences.method, differences.other, strict=True)],
            "points": bounds_texts(differences, "difference", "simultaneous_low", "simultaneous_high"),
            "pairs": differences.pairs,
        }
    )
    return as_markdown(shown)
