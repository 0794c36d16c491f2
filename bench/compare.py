"""Two runs on the same layouts: what changed, with paired intervals, and which instances flipped."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from amdm.errors import InputError, printable
from bench.job import read_run
from bench.metrics import AVERAGE, paired_differences
from bench.store import read_table
from bench.tables import CEILING

SHOWN_FLIPS = 40
INSTANCE = ["method", "layout_index", "seed", "instance"]
_METRICS = {"isr": "ISR", "miou": "mIoU", "place": "place", "colour_given_place": "colour given place"}


def compare_runs(a: Path, b: Path, pair: tuple[str, str] | None = None) -> str:
    """Markdown: B less A in points by level, and the flipped instances, for each method that both runs have.

    pair: a method of A and one of B, to be compared with each other and nothing else.

    Raises:
        InputError: the runs are on other layouts, have no method in common, or lack one of the pair.
    """
    (_, facts_a), (_, facts_b) = read_run(a), read_run(b)
    if facts_a.layout_hash != facts_b.layout_hash:
        raise InputError("was made on other layouts: the runs cannot be paired", file=b, field="layout_hash")
    first, second = read_table(a, "verdicts"), read_table(b, "verdicts")
    if pair is not None:
        shown = f"{pair[1]} − {pair[0]}"
        first, second = _only(first, pair[0], shown, a), _only(second, pair[1], shown, b)
    there = {
        run: [m for m in dict.fromkeys(table["method"]) if m != CEILING] for run, table in ((a, first), (b, second))
    }
    methods = [method for method in there[a] if method in there[b]]
    if not methods:
        names = f"{a} has {', '.join(there[a])}, this one {', '.join(there[b])}"
        raise InputError(f"no judged method in common ({names}); name two with --method-a and --method-b", file=b)
    alone = sorted({*there[a]} ^ {*there[b]})
    left_out = f"In one of the runs alone, and left out: {', '.join(alone)}.\n\n" if alone else ""
    judges = "" if facts_a.judge == facts_b.judge else "**The runs were judged by different judges.**\n\n"
    table = pd.DataFrame([row for method in methods for row in _differences(first, second, method)])
    page = (
        f"# {b} less {a}\n\n{judges}{left_out}Points, with 95 % intervals by a paired bootstrap over layouts.\n\n"
        f"{table.to_markdown(index=False)}\n\n{flipped_instances(first, second)}\n"
    )
    return printable(page, keep="\n")


def _only(verdicts: pd.DataFrame, method: str, shown: str, run: Path) -> pd.DataFrame:
    """One method's verdicts, under the name that the pair has."""
    own = verdicts[verdicts["method"] == method]
    if own.empty:
        raise InputError(f"has no judged method {method!r}", file=run, field="methods")
    return own.assign(method=shown)


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
            known = not math.isnan(one.value)
            row[shown] = f"{100 * one.value:+.2f} [{100 * one.low:+.2f}, {100 * one.high:+.2f}]" if known else "–"
        rows.append({**row, "pairs": found["isr"].pairs, "unpaired": found["isr"].unpaired})
    return rows
