"""Verdicts on interactions and styles in a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from bench.cocomig.action_style import OUTCOMES
from bench.cocomig.joint import SAMPLE, ConditionTables
from bench.job.conditions import judged_conditions
from bench.layouts.layout_set import Entry
from bench.layouts.named import load_layouts
from bench.run.info import RunInfo, check_layouts
from bench.run.read import read_tables

INTERACTIONS = [*SAMPLE, "subject", "object", "outcome"]
STYLES = [*SAMPLE, "success"]
FIELD = "conditions"
"""Of a baseline; those of layouts that ask for neither lack it."""


def conditions_of_run(run: Path) -> ConditionTables:
    """Of a run folder, the columns that a baseline keeps. Raises InputError as :func:`_tables`."""
    interactions, styles = read_tables(run, "interactions", "styles")
    return _tables(interactions[INTERACTIONS], styles[STYLES].astype({"success": bool}), run)


def as_json(conditions: ConditionTables) -> dict[str, Any]:
    """What a baseline holds of them: {} where there are none."""
    rows = {name: getattr(conditions, name).to_numpy().tolist() for name in ("interactions", "styles")}
    return {} if conditions.empty else {FIELD: rows}


def from_json(baseline: dict[str, Any], path: Path, run: Path) -> ConditionTables:
    """Of a baseline's JSON.

    Args:
        run: a run folder of the same layouts, which say what is asked for.

    Raises:
        InputError: it does not hold what :func:`as_json` writes, or as :func:`_tables`.
    """
    stored = baseline.get(FIELD, {"interactions": [], "styles": []})
    try:
        numbers = dict.fromkeys(("layout_index", "seed", "subject", "object"), int)
        interactions = pd.DataFrame(stored["interactions"], columns=INTERACTIONS).astype(numbers)
        kinds = {"layout_index": int, "seed": int, "success": bool}
        styles = pd.DataFrame(stored["styles"], columns=STYLES).astype(kinds)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("holds no verdicts on interactions and styles", file=path, field=FIELD) from error
    if not set(interactions.outcome) <= set(OUTCOMES):
        raise InputError(f"an outcome is none of {', '.join(OUTCOMES)}", file=path, field=FIELD)
    return _tables(interactions, styles, run)


def of_samples(conditions: ConditionTables, samples: pd.DataFrame) -> ConditionTables:
    """Those of some samples (the columns of SAMPLE)."""
    wanted = samples[SAMPLE].drop_duplicates()
    interactions, styles, asked = conditions
    return ConditionTables(interactions.merge(wanted, on=SAMPLE), styles.merge(wanted, on=SAMPLE), asked)


def _tables(interactions: pd.DataFrame, styles: pd.DataFrame, run: Path) -> ConditionTables:
    """With what the layouts of a run ask for; they are read where there is any verdict.

    Raises:
        InputError: the layouts are not there, or not those that were run.
    """
    entries: tuple[Entry, ...] = ()
    if not (interactions.empty and styles.empty):
        recorded = RunInfo.read(run)
        layout_set = load_layouts(recorded.job.layouts)
        check_layouts(layout_set, recorded.settings, run)
        entries = layout_set.entries
    return ConditionTables(interactions, styles, judged_conditions(entries))
