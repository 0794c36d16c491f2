"""Two runs on the same layouts: what changed, with paired intervals, and which instances flipped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from amdm.errors import InputError
from bench.job import read_run
from bench.metrics import AVERAGE, paired_differences
from bench.store import read_table

SHOWN_FLIPS = 40
INSTANCE = ["method", "layout_index", "seed", "instance"]
_METRICS = {"isr": "ISR", "miou": "mIoU", "place": "place", "colour_given_place": "colour given place"}


def compare_runs(a: Path, b: Path) -> str:
    """Markdown: for each method that both runs have, B less A in points by level, and the flipped instances.

    Raises:
        InputError: the runs are on other layouts, or have no method in common.
    """
    (_, facts_a), (_, facts_b) = read_run(a), read_run(b)
    if facts_a.layout_hash != facts_b.layout_hash:
        raise InputError("was made on other layouts: the runs cannot be paired", file=b, field="layout_hash")
    first, second = read_table(a, "verdicts"), read_table(b, "verdicts")
    methods = [method for method in dict.fromkeys(first["method"]) if method in set(second["method"])]
    if not methods:
        raise InputError(f"has no judged method in common with {a}", file=b, field="methods")
    judges = "" if facts_a.judge == facts_b.judge else "**The runs were judged by different judges.**\n\n"
    table = pd.DataFrame([row for method in methods for row in _differences(first, second, method)])
    return (
        f"# {b} less {a}\n\n{judges}Points, with 95 % intervals by a paired bootstrap over layouts.\n\n"
        f"{table.to_markdown(index=False)}\n\n{flipped_instances(first, second)}\n"
    )


def flipped_instances(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """Markdown: the instances that both tables of verdicts have and that were lost (first) or won."""
    paired = before.merge(after, on=INSTANCE, suffixes=("_before", ""))
    correct = [(paired[f"success{end}"] * paired[f"attr{end}"]).astype(bool) for end in ("_before", "")]
    flips = paired.assign(won=correct[1])[correct[0] != correct[1]].sort_values("won", kind="stable")
    lines = [
        f"- {row['method']}, layout {row['layout_index']}, seed {row['seed']}, instance {row['instance']} "
        f"({row['label']}): {'won' if row['won'] else 'lost'}"
        for row in flips.head(SHOWN_FLIPS).to_dict("records")
    ]
    if len(flips) > SHOWN_FLIPS:
        lines.append(f"- and {len(flips) - SHOWN_FLIPS} more")
    won = int(flips["won"].sum())
    return f"## Flipped instances ({won} won, {len(flips) - won} lost)\n\n" + ("\n".join(lines) or "none")


def _differences(first: pd.DataFrame, second: pd.DataFrame, method: str) -> list[dict[str, object]]:
    """One row for all levels and one for each."""
    both = pd.concat(
        [part[part["method"] == method].assign(method=name) for name, part in (("A", first), ("B", second))]
    )
    rows: list[dict[str, object]] = []
    for level in (None, *sorted(set(both["level"]))):
        part = both if level is None else both[both["level"] == level]
        if set(part["method"]) != {"A", "B"}:
            continue
        found = paired_differences(part, "B", "A")
        row: dict[str, object] = {"method": method, "level": AVERAGE if level is None else f"L{level}"}
        for metric, shown in _METRICS.items():
            one = found[metric]
            row[shown] = f"{100 * one.value:+.2f} [{100 * one.low:+.2f}, {100 * one.high:+.2f}]"
        rows.append({**row, "pairs": found["isr"].pairs, "unpaired": found["isr"].unpaired})
    return rows
