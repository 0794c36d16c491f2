"""Verdicts on interactions and styles in a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from bench.cocomig.action_style import OUTCOMES
from bench.cocomig.joint import SAMPLE, ConditionTables
from bench.run.read import read_tables

INTERACTIONS = [*SAMPLE, "subject", "object", "outcome"]
STYLES = [*SAMPLE, "success"]
FIELD = "conditions"
"""Of a baseline; those of layouts that ask for neither lack it."""


def conditions_of_run(run: Path) -> ConditionTables:
    """Of a run folder, the columns that a baseline keeps."""
    interactions, styles = read_tables(run, "interactions", "styles")
    return _tables(interactions[INTERACTIONS], styles[STYLES].astype({"success": bool}))


def as_json(conditions: ConditionTables) -> dict[str, Any]:
    """What a baseline holds of them: {} where there are none."""
    rows = {name: getattr(conditions, name).to_numpy().tolist() for name in ("interactions", "styles")}
    return {} if conditions.empty else {FIELD: rows}


def from_json(baseline: dict[str, Any], path: Path) -> ConditionTables:
    """Of a baseline's JSON. Raises InputError where it does not hold what :func:`as_json` writes."""
    stored = baseline.get(FIELD, {"interactions": [], "styles": []})
    try:
        interactions = pd.DataFrame(stored["interactions"], columns=INTERACTIONS)
        styles = pd.DataFrame(stored["styles"], columns=STYLES).astype({"success": bool})
        keys = [*INTERACTIONS[1:-1]]
        interactions, styles = (
            interactions.astype(dict.fromkeys(keys, int)),
            styles.astype(dict.fromkeys(keys[:2], int)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("holds no verdicts on interactions and styles", file=path, field=FIELD) from error
    if not set(interactions.outcome) <= set(OUTCOMES):
        raise InputError(f"an outcome is none of {', '.join(OUTCOMES)}", file=path, field=FIELD)
    return _tables(interactions, styles)


def of_samples(conditions: ConditionTables, samples: pd.DataFrame) -> ConditionTables:
    """Those of some samples (the columns of SAMPLE)."""
    wanted = samples[SAMPLE].drop_duplicates()
    return _tables(conditions.interactions.merge(wanted, on=SAMPLE), conditions.styles.merge(wanted, on=SAMPLE))


def _tables(interactions: pd.DataFrame, styles: pd.DataFrame) -> ConditionTables:
    """With how many verdicts a picture of each layout has: as many as one has most."""
    counts = [
        one.groupby(SAMPLE).size().groupby("layout_index").max().rename(name)
        for name, one in (("interactions", interactions), ("styles", styles))
    ]
    asked = pd.concat(counts, axis=1).fillna(0).astype(int).rename_axis("layout_index").reset_index()
    return ConditionTables(interactions, styles, asked)
