"""Compositions grouped by what a picture costs, each beside what else costs as much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import printable
from amdm.io.files import write_whole
from bench.batches import CEILING
from bench.cocomig.metrics import image_sums, metric_table
from bench.report.joint import (
    SHOWN,
    Compared,
    Rows,
    contrasts_shown,
    joint_contrasts,
    joint_table,
    outcome_table,
    with_intervals,
)
from bench.report.tables import TableInfo
from bench.report.text import as_markdown
from bench.report.trial_tables import Tables, failed_markdown

GROUP = "group"


@dataclass(frozen=True)
class Study:
    """What was compared.

    groups: of each row. bounds: the most evaluations a picture of each group. chosen: each row's settings, as text.
    settings: as a run records them. compared: pairs beside those with the best single model. trials: all that was
    tried, the best of a row first. tuned_on: in words.
    """

    groups: Mapping[str, str]
    bounds: Mapping[str, float]
    chosen: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    compared: Sequence[Compared]
    trials: pd.DataFrame
    tuned_on: str


def write_compositions(folder: Path, tables: Tables, study: Study, info: TableInfo) -> str:
    """``compositions.md``, the tables as CSV and the verdicts as parquet; returns the Markdown."""
    metrics = metric_table(tables.verdicts, conditions=tables.conditions)
    rows = Rows.of(study.settings, {name: tuple(one.get("ignores", ())) for name, one in study.settings.items()})
    joint = joint_table(metrics, tables.samples, info, rows)
    joint.insert(1, GROUP, [study.groups.get(name, "") for name in joint.method])
    sums = image_sums(tables.verdicts, conditions=tables.conditions)
    differences = joint_contrasts(sums, rows, study.compared)
    outcomes = pd.DataFrame()
    if not tables.interactions.empty:
        outcomes = outcome_table(tables.interactions, (*info.methods, CEILING))
    by_level = metrics[["method", "level", "images", *(name for name in SHOWN if name in metrics)]]
    found = {"joint": joint, "joint_by_level": by_level, "contrasts": differences, "outcomes": outcomes}
    for name, table in {**found, "trials": study.trials}.items():
        write_whole(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6f").encode())
    for name, table in tables._asdict().items():
        content = BytesIO()
        table.to_parquet(content, index=False)
        write_whole(folder / f"{name}.parquet", content.getvalue())
    page = compositions_markdown(joint, differences, outcomes, tables.failed, study, info)
    write_whole(folder / "compositions.md", page.encode())
    return page


def compositions_markdown(
    joint: pd.DataFrame,
    differences: pd.DataFrame,
    outcomes: pd.DataFrame,
    failed: Mapping[str, int],
    study: Study,
    info: TableInfo,
) -> str:
    """The tables as a page. failed: pictures, by method."""
    parts = [f"# {info.title}: {info.layouts}", _about(study, info), failed_markdown(failed)]
    shown = with_intervals(joint)
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
    return printable("\n\n".join(part for part in parts if part) + "\n", keep="\n")


def _about(study: Study, info: TableInfo) -> str:
    return (
        f"{info.count} of {info.full_size} layouts of `{info.layouts}` ({info.layout_hash[:12]}), seeds "
        f"{', '.join(map(str, info.seeds))}, judge `{info.judge}`; every row was measured here once. Settings of "
        f"single models and compositions were chosen on {study.tuned_on}, from the lists of "
        "bench/studies/composition_space.py. Per cent; 95 % intervals over layouts. evaluations: guided calls of all "
        "models, a picture. *converse*: the authors' code with the models in the opposite order; *the target with "
        "itself*: the same with copies of the target, which nothing but mixing can change; *N steps*: the target alone "
        "with as many evaluations as the group has. Columns: docs/combined.md; compositions: docs/compositions.md."
    )
