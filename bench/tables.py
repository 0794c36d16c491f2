"""The paper's Table 1 from verdicts, with what is needed to read it honestly."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import printable
from amdm.files import write_whole
from bench.metrics import AVERAGE, RATIOS, breakdown, metric_table, over_seeds, paired_differences

CEILING = "ceiling"
"""The method name of true renderings: the score of a perfect generator under this judge."""

SHOWN_FAILURES = 20
NAN = float("nan")
METRICS = {"isr": "ISR", "miou": "mIoU"}
SPLIT = ("place", "colour_given_place", "nothing_detected", "wrong_place", "wrong_colour")


@dataclass(frozen=True)
class TableInfo:
    """What a table says of its run.

    title: first line. judge: detector. layouts: name of the set, layouts: how many, of how many. methods: in order, the
    target first. seeds: of the run. command: regenerates the table. forced: settings that changed on the way.
    """

    title: str
    judge: str
    layouts: str
    layout_hash: str
    count: int
    full_size: int
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    command: str
    forced: tuple[str, ...] = ()


def table1(metrics: pd.DataFrame, samples: pd.DataFrame, info: TableInfo) -> pd.DataFrame:
    """One row a method: per cent by level and in all (weighted by instances), 95 % interval of the ISR, seconds, n.

    metrics: as :func:`bench.metrics.metric_table` gives them. seconds: of a batch over its size, mean. n: images
    judged. expected: images asked for; fewer were judged where some failed or are not done yet.
    """
    found = {(row["method"], row["level"]): row for row in metrics.to_dict("records")}
    levels = [*sorted(set(metrics["level"]) - {AVERAGE}, key=lambda level: int(level[1:])), AVERAGE]
    rows = []
    for method in (*info.methods, *([CEILING] if CEILING in set(samples["method"]) else [])):
        of_level = [found.get((method, level), {}) for level in levels]
        row: dict[str, object] = {"method": method}
        for metric, shown in METRICS.items():
            for level, own in zip(levels, of_level, strict=True):
                row[f"{shown} {level}"] = 100 * own.get(metric, NAN)
        row |= {f"ISR {bound}": 100 * of_level[-1].get(f"isr_{bound}", NAN) for bound in ("low", "high")}
        done = samples[(samples["method"] == method) & (samples["status"] == "ok")]
        row["s/image"] = NAN if method == CEILING else float(done["seconds"].mean())
        expected = info.count * (1 if method == CEILING else len(info.seeds))
        rows.append(row | {"n": int(of_level[-1].get("images", 0)), "expected": expected})
    return pd.DataFrame(rows)


def differences(verdicts: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Each method less the first, paired over layouts: every metric as a fraction, with its 95 % interval."""
    target, rows = methods[0], []
    for method in methods[1:]:
        if {target, method} <= set(verdicts.method):
            found = paired_differences(verdicts, method, target)
            counts = {"pairs": found["isr"].pairs, "unpaired": found["isr"].unpaired}
            row: dict[str, object] = {"method": method, "target": target, **counts}
            for metric, one in found.items():
                row |= {metric: one.value, f"{metric}_low": one.low, f"{metric}_high": one.high}
            rows.append(row)
    return pd.DataFrame(rows)


def failure_split(metrics: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Per cent of instances at the right place, of these in the right colour, and why the others fail."""
    average = metrics[metrics.level == AVERAGE].set_index("method")
    rows = [m for m in (*methods, CEILING) if m in average.index]
    table = 100 * average.loc[rows, list(SPLIT)]
    return table.rename(columns=lambda name: name.replace("_", " ")).reset_index()


def _markdown(
    results: pd.DataFrame,
    metrics: pd.DataFrame,
    paired: pd.DataFrame,
    by_seed: pd.DataFrame,
    samples: pd.DataFrame,
    info: TableInfo,
) -> str:
    """The table as a page: results, differences, failures, what is missing, and how to make it again."""
    shown = results.copy()
    shown["ISR 95 %"] = [f"{low:.1f}–{high:.1f}" for low, high in zip(shown.pop("ISR low"), shown.pop("ISR high"))]  # noqa: B905
    parts = [
        f"# {info.title}",
        f"{info.count} of {info.full_size} layouts of `{info.layouts}` ({info.layout_hash[:12]}), seeds "
        f"{', '.join(map(str, info.seeds))}, judge `{info.judge}`. Per cent; Avg is weighted by instances; rounded "
        "(published tables truncate). Intervals: 95 %, bootstrap over layouts. s/image: a batch's seconds over its "
        "size, while every worker was at work.",
        _forced(info),
        as_markdown(shown),
        f"`{CEILING}`: true renderings of the same layouts under the same judge."
        if CEILING in set(shown.method)
        else "",
        _paired(paired),
        "## Where instances fail",
        as_markdown(failure_split(metrics, info.methods)),
        _seeds(by_seed),
        _missing(results, samples),
        f"Made by `{info.command}`.",
    ]
    return printable("\n\n".join(part for part in parts if part) + "\n", keep="\n")


def write_tables(folder: Path, verdicts: pd.DataFrame, samples: pd.DataFrame, info: TableInfo) -> str:
    """table1 as CSV, Markdown and LaTeX, all metrics by level, colour, category and size, a summary, the verdicts.

    Paired differences and the spread over seeds where there are several methods and seeds. Returns the Markdown.
    """
    metrics = metric_table(verdicts)
    results = table1(metrics, samples, info)
    paired = differences(verdicts, info.methods)
    by_seed = over_seeds(verdicts[verdicts.method != CEILING]) if len(info.seeds) > 1 else pd.DataFrame()
    page = _markdown(results, metrics, paired, by_seed, samples, info)
    parquet = BytesIO()
    verdicts.to_parquet(parquet, index=False)
    files = {
        "table1.csv": results.to_csv(index=False, float_format="%.4f").encode(),
        "table1.tex": latex(results, info.forced).encode(),
        "table1.md": page.encode(),
        "metrics.csv": _fractions(metrics),
        **{f"by_{by}.csv": _fractions(breakdown(verdicts, by)) for by in ("colour", "category", "size")},
        "differences.csv": _fractions(paired),
        "seeds.csv": _fractions(by_seed),
        "summary.json": f"{json.dumps(summary(metrics, info), indent=2)}\n".encode(),
        "verdicts.parquet": parquet.getvalue(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if content:
            write_whole(folder / name, content)
        else:
            (folder / name).unlink(missing_ok=True)  # of an earlier run with other methods or seeds
    return page


def _fractions(table: pd.DataFrame) -> bytes:
    return b"" if table.empty else table.to_csv(index=False, float_format="%.6f").encode()


def summary(metrics: pd.DataFrame, info: TableInfo) -> dict[str, Any]:
    """For programs: what was run, and each metric of each method as [value, low, high] (fractions, all levels)."""
    rows = [row for row in metrics.to_dict("records") if row["level"] == AVERAGE]
    results = {
        row["method"]: {
            "images": row["images"],
            "instances": row["instances"],
            **{metric: _numbers(row[metric], row[f"{metric}_low"], row[f"{metric}_high"]) for metric in RATIOS},
        }
        for row in rows
    }
    return {**asdict(info), "results": results}


def _numbers(*values: float) -> list[float | None]:
    """Rounded; None where undefined, which JSON can say."""
    return [None if math.isnan(value) else round(float(value), 6) for value in values]


def _paired(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    shown = pd.DataFrame(
        {"difference": [f"{one} − {other}" for one, other in zip(table.method, table.target, strict=True)]}
    )
    for metric, name in METRICS.items():
        parts = (100 * table[column] for column in (metric, f"{metric}_low", f"{metric}_high"))
        shown[name] = [f"{value:+.2f} [{low:+.2f}, {high:+.2f}]" for value, low, high in zip(*parts, strict=True)]
    shown[["pairs", "unpaired"]] = table[["pairs", "unpaired"]]
    about = "Points, with 95 % intervals by a paired bootstrap over layouts."
    return f"## Paired differences\n\n{about}\n\n{as_markdown(shown)}"


def _seeds(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    table = table[table.level == AVERAGE]
    shown = pd.DataFrame({"method": table.method, "seeds": table.seeds})
    for metric, name in METRICS.items():
        pairs = zip(table[f"{metric}_mean"], table[f"{metric}_std"], strict=True)
        shown[name] = [f"{100 * mean:.2f} ± {100 * spread:.2f}" for mean, spread in pairs]
    return "## Over seeds\n\nMean ± standard deviation.\n\n" + as_markdown(shown)


def _forced(info: TableInfo) -> str:
    if not info.forced:
        return ""
    lines = "\n".join(f"- {change}" for change in info.forced)
    return f"**The run went on under other settings (`--force`); what it held was made under the old ones:**\n\n{lines}"


def _missing(results: pd.DataFrame, samples: pd.DataFrame) -> str:
    lines = [
        f"- **{row['method']}: {row['n']} of {row['expected']} images were judged; the others are not counted.**"
        for row in results.to_dict("records")
        if row["n"] < row["expected"]
    ]
    failed = samples[samples["status"] == "failed"]
    lines += [
        f"- {row['method']}, layout {row['layout_index']}, seed {row['seed']} failed: "
        f"{' '.join(str(row['error']).split())[:200]}"
        for row in failed.head(SHOWN_FAILURES).to_dict("records")
    ]
    if len(failed) > SHOWN_FAILURES:
        lines.append(f"- and {len(failed) - SHOWN_FAILURES} more")
    return "## Missing\n\n" + "\n".join(lines) if lines else ""


def as_markdown(table: pd.DataFrame) -> str:
    """A table with two decimals and a dash where there is no number; ``|`` and line ends in texts do not break it."""
    if table.empty:
        return ""
    floats = tuple(".2f" if pd.api.types.is_float_dtype(dtype) else "" for dtype in table.dtypes)
    table = table.copy()
    for name in table.select_dtypes(include=["object", "string"]).columns:
        table[name] = [_cell(value) for value in table[name]]
    text: str = table.to_markdown(index=False, floatfmt=floats, missingval="–")
    return text.replace(" nan ", "   – ")


def _cell(value: Any) -> Any:
    return " ".join(value.replace("|", "\\|").split()) if isinstance(value, str) else value


def latex(table: pd.DataFrame, forced: Sequence[str] = ()) -> str:
    """A tabular with two decimals, every text escaped; below it what ``--force`` changed."""
    text = str(table.to_latex(index=False, escape=True, float_format="%.2f", na_rep="--"))
    if not forced:
        return text
    note = pd.DataFrame({"The run went on under other settings (--force)": list(forced)})
    return text + str(note.to_latex(index=False, escape=True))
