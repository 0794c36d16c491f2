"""Tables that paste into a paper: booktabs, columns grouped by metric over levels, bold as docs/figures.md says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isnan
from typing import Any, NamedTuple

from amdm.errors import InputError, printable, unknown
from bench.cocomig.metrics import AVERAGE, METRICS, Estimate
from bench.job.batches import CEILING
from bench.report.joint import evaluations_of
from bench.report.measured import Measured
from bench.report.names import display_name
from bench.report.tables import NAN, lacking

COSTS = {
    "seconds": ("Time", "s", ".2f"),
    "evaluations": ("Calls", "per image", ".1f"),
    "memory": ("Peak", "MiB", ".0f"),
    "n": ("Images", "n", ".0f"),
}
"""Column → the heads of its group and of its own, and how its numbers are written."""
ABOUT = "% needs \\usepackage{booktabs}. Per cent, but for costs and numbers of images.\n"
ABOUT_BOLD = "% Bold: the best of its column, where its 95 % interval leaves out the value of every other method.\n"
NOTHING = Estimate(NAN, NAN, NAN)
_SPECIAL: dict[str, Any] = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
}


class Column(NamedTuple):
    """what: a metric, or one of :data:`COSTS`. level: of a metric: "L2" …, "Avg"; of a cost: ""."""

    what: str
    level: str = ""


@dataclass(frozen=True)
class Row:
    """A method's cells. values: per cent for metrics; without an interval the bounds are NaN. ranked: may be best."""

    name: str
    values: Mapping[Column, Estimate]
    ranked: bool = True


@dataclass(frozen=True)
class Block:
    """Rows that are comparable with each other, and with no others. heading: "" of the only one."""

    heading: str
    rows: tuple[Row, ...]


def columns_of(texts: Sequence[str], levels: Sequence[str]) -> tuple[Column, ...]:
    """``"isr"`` is the metric at every level and over all, ``"isr.Avg"`` and ``"isr.L3"`` are single columns.

    levels: those that the set holds, the average last. What is no metric is one of :data:`COSTS`.

    Raises:
        InputError: a name that is none of them, or a level that the set does not hold.
    """
    found: list[Column] = []
    for text in texts:
        what, dot, level = text.partition(".")
        if what in COSTS and not dot:
            found.append(Column(what))
            continue
        if what not in METRICS:
            raise unknown("column", what, [*METRICS, *COSTS], field="columns")
        if dot and level not in levels:
            raise unknown(f"level of {what}", level, levels, field="columns")
        found += [Column(what, one) for one in ([level] if dot else levels)]
    if len(set(found)) < len(found):
        raise InputError("names a column twice", field="columns")
    return tuple(found)


def rows_of(run: Measured) -> tuple[Row, ...]:
    """Of a run's methods, the ceiling last and unranked."""
    values: dict[str, dict[Column, Estimate]] = {}
    for row in run.metrics.to_dict("records"):
        own = values.setdefault(row["method"], {})
        own |= {Column(name, row["level"]): Estimate.of_row(row, name).per_cent for name in METRICS if name in row}
    done, costs = run.samples[run.samples.status == "ok"], run.table1
    costs = costs.rename(columns={"s/image": "seconds", "peak MiB": "memory"})
    costs = costs.assign(evaluations=[evaluations_of(done[done.method == name]) for name in costs.method])
    for row in costs.to_dict("records"):
        own = values.setdefault(row["method"], {})
        own |= {Column(name): Estimate(float(row[name]), NAN, NAN) for name in COSTS}
    order = [name for name in (*run.info.methods, CEILING) if name in values]
    return tuple(Row(display_name(name), values[name], name != CEILING) for name in order)


def missing_notes(run: Measured) -> list[str]:
    """What a reader of the table must know: of which part of the layouts it is, what is not counted, what is not
    judged, what changed on the way."""
    part = [f"{run.info.part}."] if run.info.part else []
    unjudged = [
        f"{display_name(row['method'])}: {row['n']} of {row['expected']} images were judged; the others do not count."
        for row in lacking(run.table1)
    ]
    forced = [f"The run went on under other settings (--force): {change}" for change in run.info.forced]
    return [*part, *unjudged, *(f"{note}." for note in run.info.remarks), *forced]


def latex_table(columns: Sequence[Column], blocks: Sequence[Block], notes: Sequence[str] = ()) -> str:
    """A tabular. notes: lines below it, of what is missing or was changed; every text is escaped."""
    groups = [(key, len(list(own))) for key, own in groupby(columns, key=lambda one: one.what)]
    width = 1 + len(columns)
    lines = [
        f"\\begin{{tabular}}{{l{''.join('r' * count for _, count in groups)}}}",
        "\\toprule",
        *_head(groups, columns),
    ]
    for block in blocks:
        lines.append("\\midrule")
        if block.heading:
            lines.append(f"\\multicolumn{{{width}}}{{l}}{{\\textit{{{escaped(block.heading)}}}}} \\\\")
        best = {column: _best(column, block.rows) for column in columns}
        for before, row in zip((None, *block.rows), block.rows, strict=False):
            if before is not None and before.ranked and not row.ranked:
                lines.append("\\addlinespace")
            cells = [_cell(column, row, best[column] is row) for column in columns]
            lines.append(f"{' & '.join([_beginning(row.name), *cells])} \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [
        f"\\par\\smallskip{{\\footnotesize {escaped(note)}\\par}}" for note in notes
    ]  # in a cell it would not break
    text = "\n".join(lines) + "\n"
    return ABOUT + (ABOUT_BOLD if "\\textbf{" in text else "") + text


def _head(groups: Sequence[tuple[str, int]], columns: Sequence[Column]) -> list[str]:
    """Two lines: metrics over their levels, with a rule below each, and the levels."""
    upper, rules, at = [""], [], 2
    for what, count in groups:
        upper.append(f"\\multicolumn{{{count}}}{{c}}{{{_group_title(what)}}}")
        rules.append(f"\\cmidrule(lr){{{at}-{at + count - 1}}}")
        at += count
    lower = ["Method", *(escaped(COSTS[one.what][1]) if one.what in COSTS else _level(one.level) for one in columns)]
    return [f"{' & '.join(upper)} \\\\", " ".join(rules), f"{' & '.join(lower)} \\\\"]


def _beginning(name: str) -> str:
    """The first cell of a line; behind ``\\\\``, LaTeX would take a bracket or an asterisk for an option of it."""
    text = escaped(name)
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def _group_title(what: str) -> str:
    if what in COSTS:
        return escaped(COSTS[what][0])
    label = METRICS[what].label
    arrow = "\\uparrow" if METRICS[what].higher_is_better else "\\downarrow"
    return f"{escaped(label[0].upper() + label[1:] if label != 'mIoU' else label)} ${arrow}$"


def _level(level: str) -> str:
    return level if level == AVERAGE else f"${level[0]}_{{{level[1:]}}}$"


def _best(column: Column, rows: Sequence[Row]) -> Row | None:
    """The one whose interval leaves out the values of all others; None where there is none, or no other."""
    if column.what in COSTS:
        return None
    sign = 1 if METRICS[column.what].higher_is_better else -1
    there = [row for row in rows if row.ranked and not isnan(row.values.get(column, NOTHING).value)]
    if len(there) < 2:
        return None
    best, *others = sorted(there, key=lambda row: -sign * row.values[column].value)
    own = best.values[column]
    near = own.low if sign > 0 else own.high
    return best if all(sign * (near - row.values[column].value) > 0 for row in others) else None


def _cell(column: Column, row: Row, bold: bool) -> str:
    value = row.values.get(column, NOTHING).value
    text = "--" if isnan(value) else format(value, COSTS[column.what][2] if column.what in COSTS else ".2f")
    return f"\\textbf{{{text}}}" if bold else text


def escaped(text: str) -> str:
    """A text as LaTeX prints it, on one line; what a terminal would obey is written out.

    >>> escaped("50 % of a_b")
    '50 \\\\% of a\\\\_b'
    """
    return re.sub(r"[&%$#_{}\\~^]", lambda one: str(_SPECIAL[one.group()]), printable(" ".join(text.split())))
