"""Verdicts of judges of full size (:mod:`bench.stages.full_size`) in a run's tables, and what tables say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.cocomig.intervals import ratio_interval
from bench.cocomig.joint import SAMPLE, ConditionTables
from bench.layouts.layout_set import LayoutSet, unjudged_lines
from bench.run.info import FullSizeJudge
from bench.run.schema import FULL_SIZE_OF

KINDS: dict[str, str] = {"action": "interactions", "style": "styles"}
"""What a judge is of → the table of :class:`ConditionTables` that it fills."""
AGAIN = {"action": "amdm-bench score RUN --interactions FILE", "style": "amdm-bench style RUN"}
UNSAID = -1
"""No number of verdicts is that."""
UNKNOWN_ACCURACY = "how often it is right on generated pictures is not known"


class FullSize(NamedTuple):
    """conditions: the run's, with what judges of full size say. judges: of these, for readers. notes, unjudged: of
    tables."""

    conditions: ConditionTables
    judges: tuple[str, ...]
    notes: tuple[str, ...]
    unjudged: tuple[str, ...]


def with_full_size(
    own: ConditionTables,
    tables: Sequence[pd.DataFrame],
    judges: Sequence[FullSizeJudge],
    verdicts: pd.DataFrame,
    layout_set: LayoutSet,
) -> FullSize:
    """Fill the tables of which the run's own judges give no verdict; what does not cover every picture is left out.

    Args:
        own: verdicts of the run's judges. tables: in the order of :data:`bench.run.schema.FULL_SIZE_OF`.
        judges: those that the run names. verdicts: on instances, of all pictures that tables are of.
    """
    found, notes, filled = own, [], {}
    by_kind: dict[str, FullSizeJudge] = {one.of: one for one in judges}
    for of, table in zip(FULL_SIZE_OF, tables, strict=True):
        kind, judge = KINDS[of], by_kind.get(of)
        if judge is None or own.asked[kind].any():
            continue
        there = _known(of, table, verdicts, layout_set)
        counts = there.groupby(SAMPLE).size()
        asked = _asked(judge, layout_set)
        pictures = verdicts[verdicts.layout_index.map(asked) != 0][SAMPLE].drop_duplicates()
        judged = counts.reindex(pd.MultiIndex.from_frame(pictures)).fillna(0).to_numpy()
        lacking = int((judged != pictures.layout_index.map(asked).to_numpy()).sum())
        if lacking:
            what = f"the {kind} of {lacking} of {len(pictures)} pictures are not judged, and are in no column"
            notes.append(f"{what}; `{AGAIN[of]}` judges all")
            continue
        column = found.asked.layout_index.map(asked).fillna(0).clip(lower=0).astype(int)
        found = found._replace(**{kind: there, "asked": found.asked.assign(**{kind: column})})
        filled[kind] = f"{of} by {judge.name}" + (f" ({judge.source[:12]})" if judge.source else "")
        notes += _notes(judge)
    return FullSize(found, tuple(filled.values()), tuple(notes), _unjudged(found, layout_set, filled))


def _asked(judge: FullSizeJudge, layout_set: LayoutSet) -> pd.Series:
    """How many verdicts a picture of each layout must have: of styles one where a style is asked for; of interactions,
    of which detections may not know every class, as many as the judge said; :data:`UNSAID` of a layout that the run did
    not have then."""
    if judge.of == "style":
        return pd.Series({one.index: int(one.style is not None) for one in layout_set.entries})
    return pd.Series({one.index: (judge.asked or {}).get(one.index, UNSAID) for one in layout_set.entries})


def _known(of: str, table: pd.DataFrame, verdicts: pd.DataFrame, layout_set: LayoutSet) -> pd.DataFrame:
    """Rows of pictures that tables are of, and of what their layouts ask for."""
    there = table.merge(verdicts[SAMPLE].drop_duplicates(), on=SAMPLE)
    if of == "style":
        return there
    asked = {(one.index, k): (p.subject, p.object) for one in layout_set.entries for k, p in enumerate(one.pairs)}
    places = zip(there.layout_index, there.interaction, there.subject, there.object, strict=True)
    fits = [asked.get((index, k)) == (subject, thing) for index, k, subject, thing in places]
    return there[np.array(fits, bool)]


def _notes(judge: FullSizeJudge) -> list[str]:
    if judge.of == "style":
        count = judge.choices or 1
        how = f"the style of the likest of the layouts' references; of {count} styles chance finds {100 / count:.1f} %"
        return [f"style: {judge.name}: {how}; {UNKNOWN_ACCURACY}"]
    how = "the likeliest verb of what was found on both boxes asked for"
    precision = (judge.precision or {}).items()
    means = [f"{method} {_per_cent(default)} / {_per_cent(known)}" for method, (default, known) in precision]
    return [
        f"action: {judge.name}: {how}; {UNKNOWN_ACCURACY}",
        f"mAP by HICO-DET's rules (default / known object), of the interactions asked for: {', '.join(means)}",
    ]


def _per_cent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _unjudged(found: ConditionTables, layout_set: LayoutSet, filled: Collection[str]) -> tuple[str, ...]:
    """As :attr:`LayoutSet.unjudged`, without what judges of full size gave verdicts on."""
    actions: list[str] = []
    styles: list[str] = []
    judged = found.interactions.drop_duplicates(["layout_index", "interaction"]) if "interactions" in filled else None
    for entry in layout_set.entries:
        if judged is None:
            actions += entry.unjudged_actions
        else:
            asked = Counter(one.action for one in dict.fromkeys(entry.layout.interactions))
            actions += (asked - Counter(judged.asked[judged.layout_index == entry.index])).elements()
        if entry.style is not None and not entry.asks_style and "styles" not in filled:
            styles.append(entry.style.name)
    return unjudged_lines(actions, styles)


def retrieval_table(found: pd.DataFrame) -> pd.DataFrame:
    """Per cent by method: style, its 95 % interval over layouts, what chance would give, and the number of pictures."""
    rows, styles = [], found.attrs["styles"]
    for method, own in found.groupby("method", sort=False):
        layouts = own.groupby("layout_index").success.agg(["sum", "size"]).astype(np.float64)
        low, high = (float(one) for one in ratio_interval(layouts["sum"].to_numpy(), layouts["size"].to_numpy()))
        value = 100 * float(own.success.mean())
        row = {"method": method, "style": value, "low": 100 * low, "high": 100 * high, "chance": 100 / styles}
        rows.append(row | {"n": len(own)})
    return pd.DataFrame(rows)
