"""COCO-MIG metrics from a table of verdicts, with intervals. Fractions, not per cent.

A table of verdicts has one row an instance and the columns :data:`COLUMNS`. Every metric is a ratio of sums over images
(:data:`RATIOS`), so averages are weighted by instances, as in the official evaluator, and one resampling of whole
images serves them all: the instances of an image share its fate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from amdm.errors import InputError

COLUMNS = (
    *("method", "layout_index", "seed", "level", "instance", "colour", "category", "box_area"),
    *("detected", "iou", "success", "attr", "miou"),
)
"""level: instances of the layout. box_area: share of the picture taken by the box asked for. The rest: ``Verdict``."""

RATIOS: dict[str, tuple[str, str]] = {
    "isr": ("correct", "instances"),
    "miou": ("miou", "instances"),
    "image_success": ("all_correct", "images"),
    "place": ("placed", "instances"),
    "colour_given_place": ("correct", "placed"),
    "nothing_detected": ("nothing_detected", "instances"),
    "wrong_place": ("wrong_place", "instances"),
    "wrong_colour": ("wrong_colour", "instances"),
}
"""Metric → the columns of :func:`image_sums` that it divides. isr and the last three add up to 1."""

AVERAGE = "Avg"
SAMPLE = ["method", "layout_index", "seed"]
SIZES: dict[str, float] = {"small": 0.05, "medium": 0.2, "large": np.inf}
"""Name → upper bound (exclusive) of the box's share of the picture."""
RESAMPLES = 2000
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A value and the bounds of its interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A metric of one method less that of another over the samples (layout and seed) that both have, and its interval.

    pairs: the number of those samples. unpaired: samples that only one of the two has; they do not count.
    """

    value: float
    low: float
    high: float
    pairs: int
    unpaired: int


def image_sums(verdicts: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Sums over the instances of each image: method, layout_index, seed, level, and what :data:`RATIOS` divides.

    Args:
        by: columns that split an image's instances further (colour, category, size); image success then makes no sense
            and is left out.

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
    )
    grouped = sums.groupby([*SAMPLE, "level", *by], sort=True, observed=True)[_COUNTED].sum().reset_index()
    if by:
        return grouped
    return grouped.assign(images=1, all_correct=(grouped.correct == grouped.instances).astype(int))


def metric_table(verdicts: pd.DataFrame, intervals: bool = True) -> pd.DataFrame:
    """Every metric by method and level: columns method, level ("L2" …, "Avg"), images, instances, and each metric.

    Args:
        intervals: add ``<metric>_low`` and ``<metric>_high`` (see :func:`bootstrap`).
    """
    rows = []
    for method, level, part in _levels(image_sums(verdicts)):
        row = {"method": method, "level": level, "images": len(part), "instances": int(part.instances.sum())}
        if intervals:
            for metric, estimate in bootstrap(part).items():
                row |= {metric: estimate.value, f"{metric}_low": estimate.low, f"{metric}_high": estimate.high}
        else:
            row |= ratios(part)
        rows.append(row)
    return pd.DataFrame(rows)


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
        {"method": method, by: value, "instances": int(part.instances.sum())} | ratios(part)
        for (method, value), part in groups
    ]
    return pd.DataFrame(rows)


def over_seeds(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation over seeds, by method and level.

    Columns method, level, seeds, ``<metric>_mean``, ``<metric>_std``. The deviation of a single seed is NaN.
    """
    rows = [
        {"method": method, "level": level} | ratios(of_seed)
        for method, level, part in _levels(image_sums(verdicts))
        for _, of_seed in part.groupby("seed")
    ]
    groups = pd.DataFrame(rows).groupby(["method", "level"], sort=False)
    mean, spread = groups.mean().add_suffix("_mean"), groups.std().add_suffix("_std")
    return pd.concat([groups.size().rename("seeds"), mean, spread], axis=1).reset_index()


def missing_samples(
    verdicts: pd.DataFrame, methods: Sequence[str], levels: Mapping[int, int], seeds: Sequence[int]
) -> pd.DataFrame:
    """The samples that should have verdicts and have none: columns method, layout_index, seed, level.

    Args:
        levels: layout_index → number of instances, for every layout of the run.
    """
    wanted = pd.MultiIndex.from_product([list(methods), list(levels), list(seeds)], names=SAMPLE)
    there = pd.MultiIndex.from_frame(verdicts[SAMPLE])
    absent = wanted[~wanted.isin(there)].to_frame(index=False)
    return absent.assign(level=absent["layout_index"].map(dict(levels)))


def ratios(sums: pd.DataFrame) -> dict[str, float]:
    """The metrics of some rows of :func:`image_sums`: NaN where the denominator is 0."""
    totals = sums.sum(numeric_only=True)
    return {
        metric: float(_divide(np.asarray(totals[numerator]), np.asarray(totals[denominator])))
        for metric, (numerator, denominator) in RATIOS.items()
        if denominator in totals and numerator in totals
    }


def bootstrap(sums: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """The metrics of one method's :func:`image_sums`, with 95 % intervals.

    Percentile bootstrap over layouts: a layout's images (one a seed) are drawn together.
    """
    layouts = sums.groupby("layout_index")[_SUMS].sum()
    replicates = _replicates(layouts, _draws(len(layouts), resamples, seed))
    return {metric: Estimate(value, *_bounds(replicates[metric])) for metric, value in ratios(sums).items()}


def paired_differences(
    verdicts: pd.DataFrame, a: str, b: str, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Difference]:
    """Each metric of method ``a`` less that of ``b``, with a 95 % interval.

    Paired percentile bootstrap: both methods are drawn on the same layouts. For one level, pass its verdicts only.

    Raises:
        InputError: a method without verdicts, or no sample in common.
    """
    sums = image_sums(verdicts)
    first, second = (sums[sums.method == method].set_index(["layout_index", "seed"]) for method in (a, b))
    for method, part in ((a, first), (b, second)):
        if part.empty:
            raise InputError(f"no verdicts of {method!r}", field="method")
    common = first.index.intersection(second.index)
    if common.empty:
        raise InputError(f"{a!r} and {b!r} have no sample in common", field="method")
    paired = [part.loc[common] for part in (first, second)]
    layouts = [part.groupby(level="layout_index")[_SUMS].sum() for part in paired]
    draws = _draws(len(layouts[0]), resamples, seed)
    ours, theirs = (_replicates(one, draws) for one in layouts)
    values = [ratios(part) for part in paired]
    counts = len(common), len(first) + len(second) - 2 * len(common)
    return {
        metric: Difference(values[0][metric] - values[1][metric], *_bounds(ours[metric] - theirs[metric]), *counts)
        for metric in RATIOS
    }


_COUNTED = ["instances", "correct", "placed", "nothing_detected", "wrong_place", "wrong_colour", "miou"]
_SUMS = [*_COUNTED, "images", "all_correct"]


def _levels(sums: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(method, level's name, its rows): each level of each method, and then all of them."""
    for method, of_method in sums.groupby("method", sort=False):
        for level, part in of_method.groupby("level"):
            yield str(method), f"L{level}", part
        yield str(method), AVERAGE, of_method


def _draws(count: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of ``count`` layouts is drawn, float64 (resamples, count)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)


def _replicates(layouts: pd.DataFrame, draws: np.ndarray) -> dict[str, np.ndarray]:
    totals = draws @ layouts[_SUMS].to_numpy(np.float64)
    column = {name: totals[:, k] for k, name in enumerate(_SUMS)}
    return {metric: _divide(column[above], column[below]) for metric, (above, below) in RATIOS.items()}


def _bounds(replicates: np.ndarray) -> tuple[float, float]:
    """The central 95 % of the replicates in which the metric is defined."""
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below == 0, np.nan, above / below))


def _checked(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table with flags as bool and miou as float64."""
    absent = [name for name in COLUMNS if name not in verdicts]
    if absent:
        raise InputError("missing column", field=absent[0])
    table = verdicts.astype({"detected": bool, "success": bool, "attr": bool, "miou": np.float64})
    if not np.isfinite(table["miou"]).all():
        raise InputError("not a finite number", field="miou")
    if table.duplicated([*SAMPLE, "instance"]).any():
        raise InputError("a method has two verdicts on one instance", field="instance")
    sizes = table.groupby(SAMPLE)["level"].agg(["size", "min", "max"])
    torn = sizes[(sizes["size"] != sizes["min"]) | (sizes["min"] != sizes["max"])]
    if len(torn):
        raise InputError(
            f"{torn.iloc[0]['size']} verdicts on an image of {torn.iloc[0]['max']} instances", field="level"
        )
    return table
