"""Where an aggregate gains over its target: by what the auxiliary alone made of the same thing, by size, by overlap.

A unit is what is right or wrong: an instance, or an interaction with both its ends. The gain of a stratum is the share
of its units that the aggregate has right less the share that the target has right, over the same units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amdm.errors import InputError
from bench.cocomig.intervals import CONFIDENCE, difference_interval, simultaneous
from bench.cocomig.joint import SAMPLE, with_ends
from bench.cocomig.metrics import SIZES

OVERLAPS: dict[str, float] = {"none": 0.0, "up to half": 0.5, "over half": np.inf}
"""Name → upper bound (inclusive) of the share of the smaller box that two boxes have in common."""
AUXILIARY = "auxiliary alone"
ALL = "all"
FAILED, SUCCEEDED = "failed", "succeeded"
ORDER = [*SIZES, *OVERLAPS, FAILED, SUCCEEDED]
"""Of values in a table; others come after them, by letter."""
UNIT = ["layout_index", "seed", "unit"]


def instance_units(verdicts: pd.DataFrame, overlaps: pd.DataFrame | None = None) -> pd.DataFrame:
    """Instances as units: right where place and colour are.

    Args:
        verdicts: one row an instance (:data:`bench.cocomig.metrics.COLUMNS`).
        overlaps: layout_index, instance, overlap: the largest share of the smaller box in common with another box.

    Returns:
        Columns method, layout_index, seed, unit, right, size, and overlap where it is given.

    Raises:
        InputError: an instance without an overlap.
    """
    right = verdicts["success"].astype(bool) & verdicts["attr"].astype(bool)
    sizes = pd.cut(verdicts["box_area"], [-np.inf, *SIZES.values()], right=False, labels=list(SIZES))
    units = verdicts[SAMPLE].assign(unit=verdicts["instance"], right=right, size=sizes.astype(str))
    return units if overlaps is None else units.assign(overlap=_overlap_names(units, overlaps))


def interaction_units(verdicts: pd.DataFrame, interactions: pd.DataFrame) -> pd.DataFrame:
    """Interactions as units: right where both ends are in place and colour and the action is right.

    Args:
        interactions: one row each, with the columns of :data:`SAMPLE`, interaction, subject, object and outcome.

    Returns:
        Columns method, layout_index, seed, unit, right, ends_right and action_right.
    """
    found = with_ends(interactions, verdicts.astype({"success": bool, "attr": bool}))
    both, action = found.subject_right & found.object_right, found.outcome == "right"
    return found[SAMPLE].assign(unit=found.interaction, right=both & action, ends_right=both, action_right=action)


def by_auxiliary(units: pd.DataFrame, auxiliary: str, what: str = "right") -> pd.DataFrame:
    """``units`` with :data:`AUXILIARY`, :data:`FAILED` or :data:`SUCCEEDED`: what the auxiliary made of the same unit.

    what: the column of the units that says so. Units that the auxiliary was not asked for are left out.

    Raises:
        InputError: no verdicts of the auxiliary, or two on one unit.
    """
    own = units[units.method == auxiliary]
    if own.empty:
        raise InputError(f"no verdicts of {auxiliary!r}", field="method")
    if own.duplicated(UNIT).any():
        raise InputError(f"two verdicts of {auxiliary!r} on one unit", field="unit")
    outcome = own[UNIT].assign(**{AUXILIARY: np.where(own[what], SUCCEEDED, FAILED)})
    return units.merge(outcome, on=UNIT)


def gain_by_stratum(units: pd.DataFrame, method: str, target: str, strata: Sequence[str]) -> pd.DataFrame:
    """The gain of ``method`` over ``target`` in each stratum, and in all, over units that both have.

    Args:
        units: method, layout_index, seed, unit, right, and the columns ``strata``, equal for all methods of a unit.

    Returns:
        Columns stratum, value, method, target, units, layouts, target_right, method_right, gain (fractions), low, high
        (95 %, over layouts), simultaneous_low, simultaneous_high (all rows at once, Bonferroni). Values that no unit
        has are absent; the others are in the order of :data:`ORDER`.

    Raises:
        InputError: a method without verdicts, or no unit in common.
    """
    first, second = (units[units.method == name] for name in (method, target))
    for name, own in ((method, first), (target, second)):
        if own.empty:
            raise InputError(f"no verdicts of {name!r}", field="method")
    both = first.merge(second[[*UNIT, "right"]], on=UNIT, suffixes=("", "_target"), validate="one_to_one")
    if both.empty:
        raise InputError(f"{method!r} and {target!r} have no unit in common", field="method")
    parts = [(ALL, ALL, both)]
    for one in strata:
        found = {str(value): part for value, part in both.groupby(one)}
        parts += [(one, value, found[value]) for value in sorted(found, key=_rank)]
    confidences = CONFIDENCE, simultaneous(len(parts))
    rows = [
        {"stratum": stratum, "value": value, "method": method, "target": target, **_gain(part, confidences)}
        for stratum, value, part in parts
    ]
    return pd.DataFrame(rows)


def _rank(value: str) -> tuple[int, str]:
    return (ORDER.index(value) if value in ORDER else len(ORDER)), value


def _gain(part: pd.DataFrame, confidences: tuple[float, float]) -> dict[str, float]:
    layouts = part.assign(units=1).groupby("layout_index")[["right", "right_target", "units"]].sum()
    ours, theirs, counts = (layouts[name].to_numpy(np.float64) for name in ("right", "right_target", "units"))
    method, target = float(ours.sum() / counts.sum()), float(theirs.sum() / counts.sum())
    found = {"units": len(part), "layouts": len(layouts), "target_right": target, "method_right": method}
    found |= {"gain": method - target}
    for prefix, confidence in zip(("", "simultaneous_"), confidences, strict=True):
        low, high = difference_interval((ours, counts), (theirs, counts), confidence)
        found |= {f"{prefix}low": float(low), f"{prefix}high": float(high)}
    return found


def _overlap_names(units: pd.DataFrame, overlaps: pd.DataFrame) -> np.ndarray:
    known = overlaps.set_index(["layout_index", "instance"])["overlap"]
    shares = known.reindex(pd.MultiIndex.from_frame(units[["layout_index", "unit"]])).to_numpy(np.float64)
    if np.isnan(shares).any():
        raise InputError("an instance has none", field="overlap")
    edges = [-np.inf, *OVERLAPS.values()]
    return np.asarray(pd.cut(shares, edges, labels=list(OVERLAPS)).astype(str))
