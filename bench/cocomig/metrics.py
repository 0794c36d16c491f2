"""COCO-MIG metrics from a table of verdicts, with intervals. Fractions, not per cent.

A table of verdicts has one row an instance and the columns :data:`COLUMNS`. Every metric is a ratio of sums over images
(:data:`METRICS`), so averages are weighted by instances, as in the official evaluator, and intervals are over layouts:
the instances of a layout, and its seeds, share its fate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from amdm.errors import InputError
from bench.cocomig.intervals import CONFIDENCE, difference_interval, ratio_interval
from bench.cocomig.joint import JOINT_SUMS, SAMPLE, ConditionTables, add_joint_sums

COLUMNS = (
    *("method", "layout_index", "seed", "level", "instance", "colour", "category", "box_area"),
    *("detected", "iou", "success", "attr", "miou"),
)
"""level: instances of the layout. colour: "" where none is asked for. box_area: share of the picture taken by the box
asked for. The rest: ``Verdict``."""


class Metric(NamedTuple):
    """A ratio of two columns of :func:`image_sums`.

    name: in files. label: in tables for readers.
    """

    name: str
    label: str
    numerator: str
    denominator: str
    higher_is_better: bool = True


METRICS = {
    one.name: one
    for one in (
        Metric("isr", "ISR", "correct", "instances"),
        Metric("miou", "mIoU", "miou", "instances"),
        Metric("iou", "IoU (any colour)", "iou", "instances"),
        Metric("image_success", "image success", "all_correct", "images"),
        Metric("place", "place", "placed", "instances"),
        Metric("colour_given_place", "colour given place", "coloured_correct", "coloured_placed"),
        Metric("nothing_detected", "nothing detected", "nothing_detected", "instances", False),
        Metric("wrong_place", "wrong place", "wrong_place", "instances", False),
        Metric("wrong_colour", "wrong colour", "wrong_colour", "instances", False),
        Metric("action_given_place", "action given place", "actions_in_place", "interactions_in_place"),
        Metric("style", "style", "styles_right", "styles"),
        Metric("joint_interaction", "joint by interaction", "joint_interactions", "interactions"),
        Metric("joint_picture", "joint by picture", "joint_pictures", "asked"),
    )
}
"""By name. isr and the three failures add up to 1. miou counts a right place in the wrong colour as 0, iou does not.
colour_given_place is of instances that name a colour; where none is named, the place alone is right.
The last four are of layouts with interactions or styles (:mod:`bench.cocomig.joint`); elsewhere they are absent."""
JOINT = ("action_given_place", "style", "joint_interaction", "joint_picture")

AVERAGE = "Avg"
NO_COLOUR = "none named"
"""Stands for "" where metrics are by colour."""
SIZES: dict[str, float] = {"small": 0.05, "medium": 0.2, "large": np.inf}
"""Name → upper bound (exclusive) of the box's share of the picture."""


class Estimate(NamedTuple):
    """A value and the bounds of its 95 % interval, NaN where a single layout allows none."""

    value: float
    low: float
    high: float

    @classmethod
    def of_row(cls, row: Mapping[Any, Any], name: str, prefix: str = "") -> Estimate:
        """From the columns that :func:`as_columns` makes; NaN where there are none. prefix: of the bounds' names."""
        return cls(*(row.get(column, np.nan) for column in (name, f"{prefix}{name}_low", f"{prefix}{name}_high")))

    @property
    def per_cent(self) -> Estimate:
        """Of a fraction."""
        return Estimate(*(100 * one for one in self))


class Difference(NamedTuple):
    """A metric of one method less that of another over the samples (layout and seed) that both have, and its interval.

    pairs: the number of those samples. unpaired: samples that only one of the two has; they do not count.
    """

    value: float
    low: float
    high: float
    pairs: int
    unpaired: int


def as_columns(name: str, one: Estimate | Difference) -> dict[str, float]:
    """A value and its bounds as columns of a table: ``<name>``, ``<name>_low``, ``<name>_high``."""
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}


def image_sums(
    verdicts: pd.DataFrame, by: Sequence[str] = (), conditions: ConditionTables | None = None
) -> pd.DataFrame:
    """Sums over the instances of each image: method, layout_index, seed, level, and what :data:`METRICS` divide.

    Args:
        by: columns that split an image's instances further (colour, category, size); image success then makes no sense
            and is left out, as are interactions and styles.
        conditions: verdicts on interactions and styles of the same images.

    Raises:
        InputError: a missing column, a repeated instance, an image without all its instances, or not a number.
    """
    table = _checked(verdicts)
    sums = table.assign(
        instances=1,
        correct=table.success & table.attr,
        placed=table.success,
        nothing_detected=~table.detected,
        wrong_place=table.detected & ~table.success,
        wrong_colour=table.success & ~table.attr,
        coloured_placed=table.success & (table.colour != ""),
        coloured_correct=table.success & table.attr & (table.colour != ""),
    )
    grouped = sums.groupby([*SAMPLE, "level", *by], sort=True, observed=True)[_COUNTED].sum().reset_index()
    if by:
        return grouped
    whole = grouped.assign(images=1, all_correct=(grouped.correct == grouped.instances).astype(int))
    return whole if conditions is None else add_joint_sums(whole, table, conditions)


def metric_table(
    verdicts: pd.DataFrame, intervals: bool = True, conditions: ConditionTables | None = None
) -> pd.DataFrame:
    """Every metric by method and level: columns method, level ("L2" …, "Avg"), images, instances, and each metric.

    Args:
        conditions: verdicts on interactions and styles, of which further metrics are.
        intervals: add ``<metric>_low`` and ``<metric>_high`` (see :func:`estimates`).

    One picture of two instances, both in place, the second in a wrong colour:

    >>> sample = {"method": "m", "layout_index": 0, "seed": 0, "level": 2, "detected": True, "success": True}
    >>> sample |= {"colour": "red", "category": "ring", "box_area": 0.1}
    >>> own = {"instance": [0, 1], "iou": [0.9, 0.8], "attr": [True, False], "miou": [0.9, 0.0]}
    >>> metric_table(pd.DataFrame({**own, **sample}), intervals=False)[["level", "isr", "miou"]]
      level  isr  miou
    0    L2  0.5  0.45
    1   Avg  0.5  0.45
    """
    return metrics_of(image_sums(verdicts, conditions=conditions), intervals)


def metrics_of(sums: pd.DataFrame, intervals: bool = True) -> pd.DataFrame:
    """:func:`metric_table` of what :func:`image_sums` gave."""
    rows = []
    for method, level, part in _levels(sums):
        row = {"method": method, "level": level, "images": len(part), "instances": int(part.instances.sum())}
        if intervals:
            for metric, estimate in estimates(part).items():
                row |= as_columns(metric, estimate)
        else:
            row |= ratios(part)
        rows.append(row)
    return pd.DataFrame(rows)


def averages(metrics: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    """Of a :func:`metric_table`, each method's row over all levels."""
    return {row["method"]: row for row in metrics[metrics.level == AVERAGE].to_dict("records")}


def breakdown(verdicts: pd.DataFrame, by: str) -> pd.DataFrame:
    """Metrics by method and one property of the instances: ``colour``, ``category`` or ``size`` (:data:`SIZES`).

    Columns method, ``by``, instances, and each metric but image success.

    Raises:
        InputError: another property.
    """
    if by not in ("colour", "category", "size"):
        raise InputError(f"{by!r} is not colour, category or size", field="by")
    if by == "size":
        edges = [-np.inf, *SIZES.values()]
        verdicts = verdicts.assign(size=pd.cut(verdicts["box_area"], edges, right=False, labels=list(SIZES)))
    groups = image_sums(verdicts, (by,)).groupby(["method", by], sort=True, observed=True)
    rows = [
        {"method": method, by: value or NO_COLOUR, "instances": int(part.instances.sum())} | ratios(part)
        for (method, value), part in groups
    ]
    return pd.DataFrame(rows)


def over_seeds(sums: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation over seeds, by method and level, of :func:`image_sums`.

    Columns method, level, seeds, ``<metric>_mean``, ``<metric>_std``. The deviation of a single seed is NaN.
    """
    levels = pd.concat([sums.assign(level="L" + sums["level"].astype(str)), sums.assign(level=AVERAGE)])
    totals = levels.groupby(["method", "level", "seed"], sort=False)[_summed(sums)].sum()
    values = pd.DataFrame({one.name: totals[one.numerator] / totals[one.denominator] for one in _metrics_of(totals)})
    groups = values.groupby(level=["method", "level"], sort=False)
    mean, spread = groups.mean().add_suffix("_mean"), groups.std().add_suffix("_std")
    found = pd.concat([groups.size().rename("seeds"), mean, spread], axis=1)
    order = pd.MultiIndex.from_tuples([(method, level) for method, level, _ in _levels(sums)], names=found.index.names)
    return found.loc[order].reset_index()


def ratios(sums: pd.DataFrame) -> dict[str, float]:
    """The metrics of some rows of :func:`image_sums`: NaN where the denominator is 0."""
    totals = sums.sum(numeric_only=True)
    return {
        one.name: float(totals[one.numerator]) / float(totals[one.denominator]) if totals[one.denominator] else np.nan
        for one in _metrics_of(sums)
    }


def _metrics_of(sums: pd.DataFrame) -> list[Metric]:
    """Those whose sums there are."""
    return [one for one in METRICS.values() if one.denominator in sums and one.numerator in sums]


def estimates(sums: pd.DataFrame) -> dict[str, Estimate]:
    """The metrics of one method's :func:`image_sums`, with 95 % intervals over layouts.

    See :mod:`bench.cocomig.intervals`.
    """
    layouts = sums.groupby("layout_index")[_summed(sums)].sum()
    values = ratios(sums)
    return {name: Estimate(value, *_floats(ratio_interval(*_parts(layouts, name)))) for name, value in values.items()}


def paired(sums: pd.DataFrame, a: str, b: str, confidence: float = CONFIDENCE) -> dict[str, Difference]:
    """Each metric of method ``a`` less that of ``b``, with its interval; for one level, pass its rows only.

    Args:
        sums: of :func:`image_sums`.

    Raises:
        InputError: a method without verdicts, or no sample in common.
    """
    first, second = (sums[sums.method == method].set_index(["layout_index", "seed"]) for method in (a, b))
    for method, part in ((a, first), (b, second)):
        if part.empty:
            raise InputError(f"no verdicts of {method!r}", field="method")
    common = first.index.intersection(second.index)
    if common.empty:
        raise InputError(f"{a!r} and {b!r} have no sample in common", field="method")
    of_both = [part.loc[common] for part in (first, second)]
    layouts = [part.groupby(level="layout_index")[_summed(sums)].sum() for part in of_both]
    ours, theirs = (ratios(part) for part in of_both)
    counts = len(common), len(first) + len(second) - 2 * len(common)

    def difference(name: str) -> Difference:
        bounds = difference_interval(_parts(layouts[0], name), _parts(layouts[1], name), confidence)
        return Difference(ours[name] - theirs[name], *_floats(bounds), *counts)

    return {name: difference(name) for name in ours}


def pairable(sums: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of methods that :func:`paired` can compare: both have verdicts, and on some sample in common."""
    samples = {method: pd.MultiIndex.from_frame(own[SAMPLE[1:]]) for method, own in sums.groupby("method")}
    return [(a, b) for a, b in pairs if {a, b} <= samples.keys() and len(samples[a].intersection(samples[b]))]


_COUNTED = [
    *("instances", "correct", "placed", "nothing_detected", "wrong_place", "wrong_colour", "iou", "miou"),
    *("coloured_placed", "coloured_correct"),
]
_SUMS = [*_COUNTED, "images", "all_correct"]


def _summed(sums: pd.DataFrame) -> list[str]:
    """The columns that are added up."""
    return [column for column in (*_SUMS, *JOINT_SUMS) if column in sums]


def _levels(sums: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(method, level's name, its rows): each level of each method, and then all of them."""
    for method, of_method in sums.groupby("method", sort=False):
        for level, part in of_method.groupby("level"):
            yield str(method), f"L{level}", part
        yield str(method), AVERAGE, of_method


def _parts(layouts: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What a metric divides, by layout: float64 (L,) each."""
    one = METRICS[name]
    return layouts[one.numerator].to_numpy(np.float64), layouts[one.denominator].to_numpy(np.float64)


def _floats(bounds: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    return float(bounds[0]), float(bounds[1])


def _checked(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table with flags as bool, iou and miou as float64."""
    absent = [name for name in COLUMNS if name not in verdicts]
    if absent:
        raise InputError("missing column", field=absent[0])
    table = verdicts.astype({"detected": bool, "success": bool, "attr": bool, "iou": np.float64, "miou": np.float64})
    for column in ("iou", "miou"):
        if not np.isfinite(table[column]).all():
            raise InputError("not a finite number", field=column)
    if table.duplicated([*SAMPLE, "instance"]).any():
        raise InputError("a method has two verdicts on one instance", field="instance")
    sizes = table.groupby(SAMPLE)["level"].agg(["size", "min", "max"])
    torn = sizes[(sizes["size"] != sizes["min"]) | (sizes["min"] != sizes["max"])]
    if len(torn):
        raise InputError(
            f"{torn.iloc[0]['size']} verdicts on an image of {torn.iloc[0]['max']} instances", field="level"
        )
    return table
