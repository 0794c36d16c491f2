"""The gain by stratum, from verdict tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from amdm.errors import InputError
from bench.cocomig.intervals import difference_interval
from bench.cocomig.strata import ALL, AUXILIARY, by_auxiliary, gain_by_stratum, instance_units, interaction_units

TWO = [("small", 0.01), ("large", 0.5)]


def verdicts(right: dict[str, list[tuple[int, int]]]) -> pd.DataFrame:
    """By method (first instance, second instance) right or not, a layout each; the first is small, the second large."""
    rows = [
        {"method": method, "layout_index": index, "seed": 0, "instance": k, "level": 2, "box_area": TWO[k][1]}
        | {"success": flag, "attr": flag}
        for method, layouts in right.items()
        for index, flags in enumerate(layouts)
        for k, flag in enumerate(flags)
    ]
    return pd.DataFrame(rows)


TABLE = verdicts(
    {
        "target": [(0, 1), (0, 0), (1, 0), (0, 1)],
        "auxiliary": [(1, 1), (1, 0), (0, 0), (1, 1)],
        "aggregate": [(1, 1), (1, 0), (0, 0), (1, 1)],
    }
)


def gains(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {(row["stratum"], row["value"]): row["gain"] for row in table.to_dict("records")}


def test_the_gain_is_where_the_auxiliary_succeeded() -> None:
    units = by_auxiliary(instance_units(TABLE), "auxiliary")
    found = gain_by_stratum(units, "aggregate", "target", [AUXILIARY, "size"])
    assert gains(found) == pytest.approx(
        {
            (ALL, ALL): 5 / 8 - 3 / 8,
            (AUXILIARY, "failed"): 0 / 3 - 1 / 3,
            (AUXILIARY, "succeeded"): 5 / 5 - 2 / 5,
            ("size", "small"): 3 / 4 - 1 / 4,
            ("size", "large"): 2 / 4 - 2 / 4,
        }
    )
    assert found["value"].tolist() == [ALL, "failed", "succeeded", "small", "large"], "by size, not by letter"
    rows = found.set_index(["stratum", "value"])
    assert rows.units[AUXILIARY, "failed"] == 3 and rows.layouts[AUXILIARY, "failed"] == 2
    assert (rows.low <= rows.gain).all() and (rows.gain <= rows.high).all()
    assert (rows.simultaneous_low <= rows.low).all() and (rows.simultaneous_high >= rows.high).all()
    ours, theirs, two = (np.array(counts, float) for counts in ([2, 1, 0, 2], [1, 0, 1, 1], [2] * 4))
    for prefix, confidence in (("", 0.95), ("simultaneous_", 1 - 0.05 / 5)):  # of five rows
        bounds = difference_interval((ours, two), (theirs, two), confidence)
        assert rows.loc[(ALL, ALL), [f"{prefix}low", f"{prefix}high"]].tolist() == pytest.approx(bounds)


def test_a_stratum_in_one_layout_has_no_interval() -> None:
    only = TABLE[TABLE.layout_index == 0]
    (row,) = gain_by_stratum(instance_units(only), "aggregate", "target", []).to_dict("records")
    assert row["gain"] == 0.5 and math.isnan(row["low"]) and row["layouts"] == 1


def test_overlaps_are_sorted_by_the_share_of_the_smaller_box() -> None:
    shares = [0.0, 0.2, 0.5, 0.51, 0.0, 1.0, 0.3, 0.0]
    overlaps = pd.DataFrame({"layout_index": [0, 0, 1, 1, 2, 2, 3, 3], "instance": [0, 1] * 4, "overlap": shares})
    units = instance_units(TABLE, overlaps)
    names = units[units.method == "target"].overlap.tolist()
    assert names == ["none", "up to half", "up to half", "over half", "none", "over half", "up to half", "none"]
    table = gain_by_stratum(units, "aggregate", "target", ["overlap"])
    assert table["value"].tolist() == [ALL, "none", "up to half", "over half"]
    found = gains(table)
    assert found["overlap", "over half"] == 0 and found["overlap", "up to half"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="overlap"):
        instance_units(TABLE, overlaps[:-1])


def test_an_interaction_is_right_with_both_its_ends() -> None:
    outcomes = {"target": ["right", "right", "none", "right"], "auxiliary": ["none"] * 4, "aggregate": ["right"] * 4}
    rows = [
        {"method": method, "layout_index": index, "seed": 0, "interaction": 0, "subject": 0, "object": 1}
        | {"outcome": outcome}
        for method, own in outcomes.items()
        for index, outcome in enumerate(own)
    ]
    units = interaction_units(TABLE, pd.DataFrame(rows))
    assert units[units.method == "aggregate"].right.tolist() == [True, False, False, True]
    split = by_auxiliary(units, "auxiliary", "ends_right")
    found = gains(gain_by_stratum(split, "aggregate", "target", [AUXILIARY]))
    assert found == {(ALL, ALL): 0.5, (AUXILIARY, "succeeded"): 1.0, (AUXILIARY, "failed"): 0.0}


def test_only_units_that_both_have_count() -> None:
    units = instance_units(TABLE)
    part = units[(units.method != "target") | (units.layout_index < 2)]
    assert gain_by_stratum(part, "aggregate", "target", []).units.tolist() == [4]
    apart = units[((units.method == "target") & (units.layout_index < 2)) | (units.layout_index >= 2)]
    with pytest.raises(InputError, match="no unit in common"):
        gain_by_stratum(apart[(apart.method != "target") | (apart.layout_index < 2)], "aggregate", "target", [])
    with pytest.raises(InputError, match="no verdicts of 'other'"):
        gain_by_stratum(units, "other", "target", [])
    with pytest.raises(InputError, match="no verdicts of 'other'"):
        by_auxiliary(units, "other")
    with pytest.raises(InputError, match="two verdicts"):
        by_auxiliary(pd.concat([units, units]), "auxiliary")


def test_a_box_as_large_as_a_bound_is_of_the_next_size() -> None:
    areas = TABLE[TABLE.method == "target"].assign(box_area=[0.04, 0.05, 0.19, 0.2] * 2)
    assert instance_units(areas)["size"].tolist() == ["small", "medium", "medium", "large"] * 2
