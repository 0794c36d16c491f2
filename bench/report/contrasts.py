"""Methods of a run against each other, on the same layouts: each with the first, and every pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from bench.cocomig.intervals import CONFIDENCE, simultaneous
from bench.cocomig.metrics import METRICS, as_columns, pairable, paired
from bench.report.text import as_markdown, bounds_texts

SHOWN = ("isr", "miou")
SIMULTANEOUS = "simultaneous"
"""Prefix of the bounds that hold for all pairs at once."""


def differences(sums: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Each method less the first, paired over layouts: every metric as a fraction, with its 95 % interval. A method
    without a sample in common with the first (of other seeds, say) has no row.

    sums: of :func:`bench.cocomig.metrics.image_sums`.
    """
    rows = []
    for target, method in pairable(sums, [(methods[0], method) for method in methods[1:]]):
        found = paired(sums, method, target)
        counts = {"pairs": found["isr"].pairs, "unpaired": found["isr"].unpaired}
        row: dict[str, object] = {"method": method, "target": target, **counts}
        for metric, one in found.items():
            row |= as_columns(metric, one)
        rows.append(row)
    return pd.DataFrame(rows)


def contrasts(sums: pd.DataFrame, methods: Sequence[str], metrics: Sequence[str] = SHOWN) -> pd.DataFrame:
    """Every pair of methods with a sample in common, the later less the earlier: metrics as fractions; nothing of a
    single pair that :func:`differences` has.

    With two intervals: ``<metric>_low`` and ``_high`` hold with 95 % for a pair that was chosen beforehand;
    ``simultaneous_<metric>_low`` and ``_high`` hold for all ``comparisons`` pairs of a metric at once (Bonferroni).
    """
    pairs = pairable(sums, list(combinations(methods, 2)))
    if len(pairs) < 2 and all(other == methods[0] for other, _ in pairs):
        return pd.DataFrame()
    rows = []
    for other, method in pairs:
        one = paired(sums, method, other)
        all_at_once = paired(sums, method, other, simultaneous(len(pairs)))
        row: dict[str, object] = {"method": method, "other": other, "comparisons": len(pairs)}
        row |= {"pairs": one["isr"].pairs, "unpaired": one["isr"].unpaired}
        for metric in metrics:
            row |= as_columns(metric, one[metric])
            for bound in ("low", "high"):
                row[f"{SIMULTANEOUS}_{metric}_{bound}"] = getattr(all_at_once[metric], bound)
        rows.append(row)
    return pd.DataFrame(rows)


def differences_markdown(table: pd.DataFrame) -> str:
    """The section of :func:`differences`."""
    if table.empty:
        return ""
    about = "Points, with 95 % intervals over layouts; both methods on the same ones."
    return f"## Paired differences\n\n{about}\n\n{as_markdown(_shown(table, 'target', ''))}"


def contrasts_markdown(table: pd.DataFrame) -> str:
    """The section of :func:`contrasts`."""
    if table.empty:
        return ""
    about = (
        f"Every pair of methods, paired over layouts. Points; the intervals of a column hold for all {len(table)} "
        f"comparisons at once with {100 * CONFIDENCE:g} % (Bonferroni). contrasts.csv has those of a single pair too."
    )
    return f"## All pairs\n\n{about}\n\n{as_markdown(_shown(table, 'other', f'{SIMULTANEOUS}_'))}"


def _shown(table: pd.DataFrame, other: str, prefix: str) -> pd.DataFrame:
    names = [f"{one} − {two}" for one, two in zip(table["method"], table[other], strict=True)]
    cells = {
        METRICS[metric].label: bounds_texts(table, metric, f"{prefix}{metric}_low", f"{prefix}{metric}_high")
        for metric in SHOWN
    }
    return pd.DataFrame({"difference": names, **cells, "pairs": table["pairs"], "unpaired": table["unpaired"]})
