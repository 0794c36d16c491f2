"""A sweep: many settings of one method on layouts for tuning, then one confirming run of the best on others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from amdm.io.files import make_folder
from amdm.presets.settings import MethodSettings
from bench.cocomig.metrics import METRICS, paired
from bench.report.sweep import Confirmed, write_sweep
from bench.report.text import Written
from bench.studies.settings import plain_aggregation, setting_text
from bench.studies.sweep_config import Point, SweepConfig, point_text, search
from bench.studies.trials import StudyRun, averages, run_trials, table_info, with_ceiling

BEST, PRESET = "the best trial", "the preset"


def sweep(config: SweepConfig, folder: Path, report: Path, workers: int) -> Written:
    """Measure every trial, confirm the best, write the tables to ``report``.

    folder: what is measured, and Optuna's storage; the same sweep goes on from there.

    Raises:
        InputError: no trial could be measured, or as :func:`bench.studies.sweep_config.search`.
    """
    make_folder(folder)
    study = StudyRun(config.layout_set, workers, config.seeds, folder / "kept")
    if config.search == "grid":
        points = list(config.grid())
    else:
        points = search(config, folder, lambda some: _values(config, study, some))
    trials = trial_table(config, study, points)
    measured = trials[trials.status == "ok"]
    if measured.empty:
        raise InputError(f"no trial could be measured; the first: {trials.reason.iloc[0]}", field="space")
    if measured[config.objective].isna().all():  # nothing in place, for example, of which it would be
        what = f"{METRICS[config.objective].label} has no value in any trial; take another"
        raise InputError(what, field="objective")
    best = measured.sort_values([config.objective, "evaluations"], ascending=[False, True], kind="stable").index[0]
    confirmed = confirm(config, points[int(str(best))], workers, folder)
    info = table_info(study, [config.method], f"Sweep of {config.method}")
    make_folder(report)
    return write_sweep(report, trials, int(str(best)), confirmed, info, config.objective)


def sweep_name(config: SweepConfig) -> str:
    """The name of the folder of this sweep and no other; with more trials it is the same sweep."""
    return f"sweep-{config.digest[:8]}"


def trial_table(config: SweepConfig, study: StudyRun, points: Sequence[Point]) -> pd.DataFrame:
    """One row a point: trial, its fields (JSON), status ("ok", "failed" or "invalid"), reason, evaluations, seconds,
    and the metrics (fractions) with their bounds."""
    valid, reasons = _valid(config, points)
    names = {k: point_text(points[k]) for k in valid}
    tables = run_trials(study, {names[k]: one for k, one in valid.items()}, "sweep")
    found = averages(tables, list(dict.fromkeys(names.values()))) if valid else pd.DataFrame()
    rows = []
    for k, point in enumerate(points):
        row: dict[str, Any] = {"trial": k, **{name: json.dumps(value) for name, value in point.items()}}
        if k not in valid:
            rows.append(row | {"status": "invalid", "reason": reasons[k]})
            continue
        own: dict[str, Any] = {str(name): value for name, value in found.loc[names[k]].items()}
        failed = int(own.pop("failed"))
        status = "failed" if failed else "ok"
        rows.append(row | {"status": status, "reason": f"{failed} pictures are not finite" if failed else ""} | own)
    return pd.DataFrame(rows)


def confirm(config: SweepConfig, point: Point, workers: int, folder: Path) -> Confirmed:
    """The best trial and the preset on other layouts, once."""
    study = StudyRun(config.confirm_set, workers, config.confirm.seeds, folder / "kept")
    best, preset = config.settings(point), config.settings({})
    settings = with_ceiling({BEST: best, PRESET: preset}, study.layout_set)
    tables = run_trials(study, settings, "confirm")
    table = averages(tables, list(settings)).reset_index(names="method")
    difference = None
    if {BEST, PRESET} <= set(tables.sums.method):
        difference = paired(tables.sums, BEST, PRESET)[config.objective]
    text = setting_text({"aggregation": plain_aggregation(best), "settings": {}})
    return Confirmed(table, difference, table_info(study, list(settings), "Confirming run"), point_text(point), text)


def _values(config: SweepConfig, study: StudyRun, points: Sequence[Point]) -> list[float | None]:
    """The objective of each point; None where it has none."""
    table = trial_table(config, study, points)
    if config.objective not in table:
        return [None] * len(points)
    rows = zip(table.status, table[config.objective], strict=True)
    return [float(value) if status == "ok" and not pd.isna(value) else None for status, value in rows]


def _valid(config: SweepConfig, points: Sequence[Point]) -> tuple[dict[int, MethodSettings], dict[int, str]]:
    """By number, the settings of points that are settings, and why the others are none."""
    valid, reasons = {}, {}
    for k, point in enumerate(points):
        try:
            valid[k] = config.settings(point)
        except InputError as error:
            reasons[k] = str(error)
    return valid, reasons
