"""What must be right together: instances in place and colour, actions between them, and the style of the picture."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from amdm.errors import InputError

SAMPLE = ["method", "layout_index", "seed"]
JOINT_SUMS = (
    *("interactions", "interactions_in_place", "actions_in_place", "joint_interactions"),
    *("styles", "styles_right", "asked", "joint_pictures"),
)
"""Columns that :func:`add_joint_sums` may add."""


class ConditionTables(NamedTuple):
    """Verdicts beside those on instances; either table may be empty.

    interactions: one row each, with the columns of :data:`SAMPLE`, subject and object (instances), and outcome.
    styles: one row a picture, with those of :data:`SAMPLE` and success.
    asked: how many of either a picture of a layout must have: layout_index, interactions, styles.
    """

    interactions: pd.DataFrame
    styles: pd.DataFrame
    asked: pd.DataFrame

    @property
    def empty(self) -> bool:
        """Nothing of this was judged."""
        return self.interactions.empty and self.styles.empty


def add_joint_sums(sums: pd.DataFrame, verdicts: pd.DataFrame, conditions: ConditionTables) -> pd.DataFrame:
    """``sums``, one row an image, with what interactions and styles add; nothing of a table that is empty.

    interactions, interactions_in_place: how many; of these, whose subject and object are both in place.
    actions_in_place: of these, with the right action. joint_interactions: with the right action, and both instances
    right in place and colour. styles, styles_right: 0 or 1. asked: 1. joint_pictures: 1 where every instance, action
    and style is right.

    Args:
        sums: with the columns of :data:`SAMPLE`, instances and correct.
        verdicts: one row an instance, with bool success (place) and attr (place and colour).

    Raises:
        InputError: a picture lacks a verdict on what its layout asks for: it would count as if it were not asked.
    """
    if conditions.empty:
        return sums
    right = sums.correct == sums.instances
    none = sums[SAMPLE].head(0)
    if conditions.asked.interactions.any():
        some = not conditions.interactions.empty
        found = _interaction_sums(verdicts, conditions.interactions) if some else none.assign(**_NO_INTERACTIONS)
        sums = _with_sums(sums, found, conditions.asked, "interactions")
        right &= sums.pop("actions_right") == sums.interactions
    if conditions.asked.styles.any():
        own = none.assign(success=0) if conditions.styles.empty else conditions.styles
        found = own[SAMPLE].assign(styles=1, styles_right=own.success.astype(int))
        sums = _with_sums(sums, found, conditions.asked, "styles")
        right &= sums.styles_right == sums.styles
    return sums.assign(asked=1, joint_pictures=right.to_numpy().astype(int))


_NO_INTERACTIONS = dict.fromkeys((*JOINT_SUMS[:4], "actions_right"), 0)


def _with_sums(sums: pd.DataFrame, found: pd.DataFrame, asked: pd.DataFrame, kind: str) -> pd.DataFrame:
    """``sums`` with the columns of ``found``, 0 where nothing of the kind is asked for."""
    sums = sums.merge(found, on=SAMPLE, how="left").fillna(dict.fromkeys(found.columns.difference(SAMPLE), 0))
    torn = sums[sums[kind] != sums.layout_index.map(asked.set_index("layout_index")[kind])]
    if len(torn):
        one = torn.iloc[0]
        what = f"{len(torn)} pictures lack verdicts (first {one.method}, layout {one.layout_index}, seed {one.seed})"
        raise InputError(f"{what}; `amdm-bench score RUN` judges them", field=kind)
    return sums


def with_ends(interactions: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Interactions whose ends have verdicts, with ``subject_placed``, ``subject_right``, ``object_placed`` and
    ``object_right``: the success and attr of these instances."""
    ends, found = verdicts[[*SAMPLE, "instance", "success", "attr"]], interactions
    for role in ("subject", "object"):
        names = {"instance": role, "success": f"{role}_placed", "attr": f"{role}_right"}
        found = found.merge(ends.rename(columns=names), on=[*SAMPLE, role], validate="many_to_one")
    return found


def _interaction_sums(verdicts: pd.DataFrame, interactions: pd.DataFrame) -> pd.DataFrame:
    found = with_ends(interactions, verdicts)
    action = found.outcome == "right"
    in_place = found.subject_placed & found.object_placed
    counted = found[SAMPLE].assign(
        interactions=1,
        interactions_in_place=in_place.astype(int),
        actions_right=action.astype(int),
        actions_in_place=(action & in_place).astype(int),
        joint_interactions=(action & found.subject_right & found.object_right).astype(int),
    )
    return counted.groupby(SAMPLE).sum().reset_index()
