"""Two runs on the same layouts: what changed, with paired intervals, and which instances flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError, instead
from bench.cocomig.metrics import AVERAGE, METRICS, Estimate, as_columns, image_sums, paired
from bench.job.batches import CEILING
from bench.report.text import as_markdown, as_page, bounds_text
from bench.run.info import RunInfo
from bench.run.read import read_table

SHOWN_FLIPS = 40
INSTANCE = ["method", "layout_index", "seed", "instance"]
SHOWN = ("isr", "miou", "place", "colour_given_place")


@dataclass(frozen=True)
class Comparison:
    """What a second run differs in from a first, paired over layouts.

    same_judge: the same detector and judges gave the verdicts of both. alone: methods of one of them, left out.
    differences: a row a method and level: each of :data:`SHOWN` as a fraction, ``<metric>_low`` and ``<metric>_high``,
    how many samples were paired, and how many not. flips: see :func:`flips_of`.
    """

    first: Path
    second: Path
    same_judge: bool
    alone: list[str]
    differences: list[dict[str, Any]]
    flips: list[dict[str, Any]]

    @property
    def report(self) -> str:
        """Markdown; differences in points."""
        parts = [
            f"# {self.second} less {self.first}",
            "" if self.same_judge else "**The runs were judged by different judges.**",
            f"In one of the runs alone, and left out: {', '.join(self.alone)}." if self.alone else "",
            "Points, with 95 % intervals over layouts; both runs on the same ones.",
            as_markdown(pd.DataFrame(map(_shown, self.differences))),
            flips_markdown(self.flips),
        ]
        return as_page(parts)


def compare_runs(a: Path, b: Path, pair: tuple[str, str] | None = None) -> Comparison:
    """B less A by level, and the flipped instances, for each method that both runs have.

    pair: a method of A and one of B, to be compared with each other and nothing else.

    Raises:
        InputError: the runs are on other layouts, have no method in common, or lack one of the pair.
    """
    settings = RunInfo.read(a).settings, RunInfo.read(b).settings
    if settings[0].layout_hash != settings[1].layout_hash:
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
    for method in methods:
        own = [one[one["method"] == method] for one in (first, second)]
        if _in_common(*own).empty:
            raise InputError(_unpaired(own[0], own[1], method, a), file=b)
    alone = sorted({*there[a]} ^ {*there[b]})
    rows = [row for method in methods for row in _differences(first, second, method)]
    flips = flips_of(first[first["method"].isin(methods)], second)
    return Comparison(a, b, settings[0].judged_by == settings[1].judged_by, alone, rows, flips)


def _only(verdicts: pd.DataFrame, method: str, shown: str, run: Path) -> pd.DataFrame:
    """One method's verdicts, under the name that the pair has."""
    own = verdicts[verdicts["method"] == method]
    if own.empty:
        there = list(dict.fromkeys(verdicts["method"]))
        raise InputError(f"has no judged method {method!r}; {instead(method, there)}", file=run, field="methods")
    return own.assign(method=shown)


def _in_common(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The samples of one method that both tables have: columns layout_index, seed."""
    own = [one[["layout_index", "seed"]].drop_duplicates() for one in (first, second)]
    return own[0].merge(own[1])


def _unpaired(first: pd.DataFrame, second: pd.DataFrame, method: str, a: Path) -> str:
    """Why nothing of one method can be paired: other seeds, or other layouts."""
    seeds, layouts = ([set(one[column]) for one in (first, second)] for column in ("seed", "layout_index"))
    if not seeds[0] & seeds[1]:
        there, here = (", ".join(map(str, sorted(own)[:10])) for own in seeds)
        return f"{method} has no seed in common: {a} has {there}, this one {here}; only the same seed can be paired"
    common = len(layouts[0] & layouts[1])
    return f"{method} has no sample in common with {a} (layouts that both have: {common}), so nothing can be paired"


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of differences as readers see it, in points."""
    points = {METRICS[name].label: bounds_text(*Estimate.of_row(row, name)) for name in SHOWN}
    head, tail = ({name: row[name] for name in names} for names in (("method", "level"), ("pairs", "unpaired")))
    return {**head, **points, **tail}


def flips_of(before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, Any]]:
    """The instances that both tables of verdicts have and that were lost (these first) or won: method, layout_index,
    seed, instance, label, won."""
    paired = before.merge(after, on=INSTANCE, suffixes=("_before", ""))
    correct = [(paired[f"success{end}"] * paired[f"attr{end}"]).astype(bool) for end in ("_before", "")]
    found = paired.assign(won=correct[1])[correct[0] != correct[1]].sort_values("won", kind="stable")
    rows = found[[*INSTANCE, "label", "won"]].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def flips_markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """The first :data:`SHOWN_FLIPS` of them."""
    lines = [
        f"- {row['method']}, layout {row['layout_index']}, seed {row['seed']}, instance {row['instance']} "
        f"({row['label']}): {'won' if row['won'] else 'lost'}"
        for row in found[:SHOWN_FLIPS]
    ]
    if len(found) > SHOWN_FLIPS:
        lines.append(f"- and {len(found) - SHOWN_FLIPS} more")
    won = sum(bool(row["won"]) for row in found)
    return f"## Flipped instances ({won} won, {len(found) - won} lost)\n\n" + ("\n".join(lines) or "none")


def _differences(first: pd.DataFrame, second: pd.DataFrame, method: str) -> list[dict[str, Any]]:
    """One row for all levels and one for each."""
    both = pd.concat(
        [part[part["method"] == method].assign(method=name) for name, part in (("A", first), ("B", second))]
    )
    rows: list[dict[str, Any]] = []
    for level in (None, *sorted(set(both["level"]))):
        part = both if level is None else both[both["level"] == level]
        if _in_common(*(part[part["method"] == name] for name in ("A", "B"))).empty:
            continue
        found = paired(image_sums(part), "B", "A")
        row: dict[str, Any] = {"method": method, "level": AVERAGE if level is None else f"L{level}"}
        for metric in SHOWN:
            row |= as_columns(metric, found[metric])
        rows.append({**row, "pairs": found["isr"].pairs, "unpaired": found["isr"].unpaired})
    return rows
