"""Compositions grouped by what a picture costs, each beside what else costs as much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cocomig.metrics import AVERAGE
from bench.job.batches import CEILING
from bench.report.joint import (
    Compared,
    Rows,
    contrasts_shown,
    joint_by_level,
    joint_contrasts,
    joint_shown,
    joint_table,
    outcome_table,
)
from bench.report.tables import TableInfo, remarks_markdown
from bench.report.text import NO_NUMBER, Written, as_markdown, as_page, write_parquet, write_study
from bench.report.trial_tables import Tables, failed_markdown

GROUP = "group"


@dataclass(frozen=True)
class Study:
    """What was compared.

    groups: of each row. bounds: the most evaluations a picture of each group. chosen: each row's settings, as text.
    settings: as a run records them. compared: pairs beside those with the best single model. trials: all that was
    tried, the best of a row first. kid: columns kid and kid_sd by method (the index). tuned_on: in words.
    """

    groups: Mapping[str, str]
    bounds: Mapping[str, float]
    chosen: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    compared: Sequence[Compared]
    trials: pd.DataFrame
    kid: pd.DataFrame
    tuned_on: str


def write_compositions(folder: Path, tables: Tables, study: Study, info: TableInfo) -> Written:
    """``compositions.md``, the tables as CSV and the verdicts as parquet."""
    metrics = tables.metrics
    rows = Rows.of(study.settings, {name: tuple(one.get("ignores", ())) for name, one in study.settings.items()})
    joint = joint_table(metrics, tables.samples, info, rows)
    joint.insert(1, GROUP, [study.groups.get(name, "") for name in joint.method])
    for name, column in (("KID", "kid"), ("KID sd", "kid_sd")):
        joint.insert(list(joint).index("evaluations"), name, joint.method.map(study.kid[column]).astype(float))
    differences = joint_contrasts(tables.sums, rows, study.compared)
    outcomes, by_level = outcome_table(tables.interactions, info.methods), joint_by_level(metrics)
    found = {"joint": joint, "joint_by_level": by_level, "contrasts": differences, "outcomes": outcomes}
    write_parquet(folder, {one.name: getattr(tables, one.name) for one in fields(tables) if one.name != "features"})
    page = compositions_markdown(joint, differences, outcomes, tables.failed, study, info)
    write_study(folder, "compositions", page, {**found, "trials": study.trials})
    costs = joint[["method", GROUP, "KID", "KID sd", "evaluations", "s/image"]]
    averages = by_level[by_level.level == AVERAGE].drop(columns="level").merge(costs, on="method")
    return Written(page, {"rows": averages, "contrasts": differences, "trials": study.trials})


def compositions_markdown(
    joint: pd.DataFrame,
    differences: pd.DataFrame,
    outcomes: pd.DataFrame,
    failed: Mapping[str, int],
    study: Study,
    info: TableInfo,
) -> str:
    """The tables as a page. failed: pictures, by method."""
    parts = [
        f"# {info.title}: {info.layouts}",
        _about(study, info),
        remarks_markdown(info.remarks),
        failed_markdown(failed),
    ]
    shown = joint_shown(joint)
    if "KID" in shown:  # of the true renderings it is near 0
        kids = zip(shown.KID, shown.pop("KID sd"), strict=True)
        shown["KID"] = [NO_NUMBER if math.isnan(kid) else f"{kid:.3f} ± {spread:.3f}" for kid, spread in kids]
    for group, most in study.bounds.items():
        own = shown[shown[GROUP] == group]
        if len(own):
            limit = "no limit" if math.isinf(most) else f"at most {most:g} evaluations a picture"
            parts += [f"## Evaluations: {group} ({limit})", as_markdown(own.drop(columns=GROUP))]
    parts += ["## Ceiling", as_markdown(shown[shown.method == CEILING].drop(columns=GROUP))]
    if not differences.empty:
        comparisons = differences.comparisons.iloc[0]
        about = f"Points; the intervals hold for all {comparisons} comparisons of a metric at once (Bonferroni)."
        for against, own in differences.groupby("against", sort=False):
            parts += [f"## Against {against}", about, contrasts_shown(own)]
    if not outcomes.empty:
        parts += ["## What became of the actions", as_markdown(outcomes)]
    chosen = pd.DataFrame({"method": list(study.chosen), "settings": list(study.chosen.values())})
    parts += ["## Settings", as_markdown(chosen), f"Made by `{info.command}`."]
    return as_page(parts)


def _about(study: Study, info: TableInfo) -> str:
    return (
        f"{info.measured_on}, judge `{info.judge}`; every row was measured here once. Settings were chosen on "
        f"{study.tuned_on}: of a composition the plain ones of its source and others drawn, by the lists of "
        "bench/studies/composition_space.py, of a single model the profile's and others drawn from those of "
        "bench/studies/tuning_combined.py. Per cent; 95 % intervals over layouts. evaluations: guided calls of all "
        "models, a picture. KID: against true renderings of other scenes, mean ± standard deviation over "
        "subsets, of 10 pictures or more (docs/measuring.md). *converse*: the authors' code with the models in the "
        "opposite order; *the target with itself*: the same with copies of the target, which nothing but mixing can "
        "change; *N steps*: the target alone with as many evaluations as the group has. Columns: docs/combined.md; "
        "compositions: docs/compositions.md."
    )
