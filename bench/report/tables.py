"""The paper's Table 1 from verdicts, with what is needed to read it honestly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from amdm.errors import printable
from bench.batches import CEILING
from bench.cocomig.metrics import AVERAGE, JOINT, METRICS
from bench.memory import WHOSE
from bench.report.text import as_markdown, interval_text

SHOWN_FAILURES = 20
NAN = float("nan")
MIB = 2**20
BY_LEVEL = ("isr", "miou")
IN_ALL = ("iou", "image_success")
SPLIT = ("place", "colour_given_place", "nothing_detected", "wrong_place", "wrong_colour")


@dataclass(frozen=True)
class TableInfo:
    """What a table says of its run.

    title: first line. judge: detector, and the judges of actions and styles if any. layouts: name of the set, layouts:
    how many, of how many. methods: in order, the target first. seeds: of the run. command: regenerates the table.
    forced: settings that changed on the way. unjudged: what the layouts ask for without verdict. notes:
    what the verdicts cannot say of these layouts (:attr:`bench.layouts.layout_set.LayoutSet.judging_notes`).
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
    unjudged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def measured_on(self) -> str:
        """The layouts and seeds, for readers."""
        seeds = ", ".join(map(str, self.seeds))
        return f"{self.count} of {self.full_size} layouts of `{self.layouts}` ({self.layout_hash[:12]}), seeds {seeds}"


def table1(metrics: pd.DataFrame, samples: pd.DataFrame, info: TableInfo) -> pd.DataFrame:
    """One row a method: per cent by level and in all (weighted by instances), 95 % intervals, seconds, memory, n.

    metrics: as :func:`bench.cocomig.metrics.metric_table` gives them. seconds: of a batch over its size, mean.
    peak MiB: the largest of a batch. n: images judged. expected: images asked for; fewer were judged where some failed
    or are not done yet.
    """
    found = {(row["method"], row["level"]): row for row in metrics.to_dict("records")}
    levels = [*sorted(set(metrics["level"]) - {AVERAGE}, key=lambda level: int(level[1:])), AVERAGE]
    rows = []
    for method in (*info.methods, *([CEILING] if CEILING in set(samples["method"]) else [])):
        of_level = [found.get((method, level), {}) for level in levels]
        row: dict[str, object] = {"method": method}
        for metric in BY_LEVEL:
            for level, own in zip(levels, of_level, strict=True):
                row[f"{METRICS[metric].label} {level}"] = 100 * own.get(metric, NAN)
        joint = tuple(metric for metric in JOINT if metric in metrics)
        row |= {METRICS[metric].label: 100 * of_level[-1].get(metric, NAN) for metric in IN_ALL + joint}
        for metric in BY_LEVEL:
            for bound in ("low", "high"):
                row[f"{METRICS[metric].label} {bound}"] = 100 * of_level[-1].get(f"{metric}_{bound}", NAN)
        done = samples[(samples["method"] == method) & (samples["status"] == "ok") & (method != CEILING)]
        row |= {"s/image": float(done["seconds"].mean()), "peak MiB": float(done["peak_bytes"].max()) / MIB}
        expected = info.count * (1 if method == CEILING else len(info.seeds))
        rows.append(row | {"n": int(of_level[-1].get("images", 0)), "expected": expected})
    return pd.DataFrame(rows)


def failure_split(metrics: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Per cent of instances at the right place, of these in the right colour, and why the others fail."""
    average = metrics[metrics.level == AVERAGE].set_index("method")
    rows = [m for m in (*methods, CEILING) if m in average.index]
    table = 100 * average.loc[rows, list(SPLIT)]
    return table.rename(columns={name: METRICS[name].label for name in SPLIT}).reset_index()


def _markdown(
    results: pd.DataFrame, metrics: pd.DataFrame, sections: Sequence[str], samples: pd.DataFrame, info: TableInfo
) -> str:
    """The table as a page: results, other sections, failures, what is missing, and how to make it again."""
    shown = results.copy()
    for label in (METRICS[metric].label for metric in BY_LEVEL):
        bounds = zip(shown.pop(f"{label} low") / 100, shown.pop(f"{label} high") / 100, strict=True)
        shown[f"{label} 95 %"] = [interval_text(low, high) for low, high in bounds]
    parts = [
        f"# {info.title}",
        f"{info.measured_on}, judge `{info.judge}`. Per cent; Avg is weighted by instances; rounded "
        "(published tables truncate). Intervals: 95 %, over layouts, Student's with one layout all right and one all "
        "wrong added. IoU (any colour): mean of the best IoU, which mIoU counts as 0 where the place is right and the "
        "colour wrong. s/image: a batch's seconds over its size, while every worker was at work." + _memory(samples),
        _forced(info),
        beside_verdicts(info),
        as_markdown(shown),
        f"`{CEILING}`: true renderings of the same layouts under the same judge."
        if CEILING in set(shown.method)
        else "",
        *sections,
        "## Where instances fail",
        as_markdown(failure_split(metrics, info.methods)),
        _missing(results, samples),
        f"Made by `{info.command}`.",
    ]
    return printable("\n\n".join(part for part in parts if part) + "\n", keep="\n")


def _fractions(table: pd.DataFrame) -> bytes:
    return b"" if table.empty else table.to_csv(index=False, float_format="%.6f").encode()


def summary(metrics: pd.DataFrame, info: TableInfo) -> dict[str, Any]:
    """For programs: what was run, and each metric of each method as [value, low, high] (fractions, all levels)."""
    rows = [row for row in metrics.to_dict("records") if row["level"] == AVERAGE]
    results = {
        row["method"]: {
            "images": row["images"],
            "instances": row["instances"],
            **{m: _numbers(row[m], row[f"{m}_low"], row[f"{m}_high"]) for m in METRICS if m in row},
        }
        for row in rows
    }
    return {**asdict(info), "results": results}


def _numbers(*values: float) -> list[float | None]:
    """Rounded; None where undefined, which JSON can say."""
    return [None if math.isnan(value) else round(float(value), 6) for value in values]


def _memory(samples: pd.DataFrame) -> str:
    """Whose memory the table's peaks are; nothing where none was recorded."""
    whose = [WHOSE[one] for one in samples["peak_of"].dropna().unique()]
    return f" peak MiB: the most while a batch was drawn, {' or '.join(whose)}." if whose else ""


def _pulled(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    about = (
        "Over √dim, means over the window and the samples: how far x′ lies from each model's mean, and η, how far it "
        "is pulled back. Where η comes near the distance, the model is put back to its own mean, and nothing of the "
        "mix is left; beyond it, the pull-back overshoots."
    )
    shown = table.rename(columns={"distance_to_mean": "‖x′−μ‖/√dim", "eta": "η/√dim"})
    return f"## Pull-back\n\n{about}\n\n{as_markdown(shown, '.4f')}"


def _seeds(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    table = table[table.level == AVERAGE]
    shown = pd.DataFrame({"method": table.method, "seeds": table.seeds})
    for metric in BY_LEVEL:
        pairs = zip(table[f"{metric}_mean"], table[f"{metric}_std"], strict=True)
        shown[METRICS[metric].label] = [f"{100 * mean:.2f} ± {100 * spread:.2f}" for mean, spread in pairs]
    return "## Over seeds\n\nMean ± standard deviation.\n\n" + as_markdown(shown)


def _forced(info: TableInfo) -> str:
    if not info.forced:
        return ""
    lines = "\n".join(f"- {change}" for change in info.forced)
    return f"**The run went on under other settings (`--force`); what it held was made under the old ones:**\n\n{lines}"


def unjudged_markdown(info: TableInfo) -> str:
    """What the layouts ask for and the tables say nothing of."""
    return "\n".join(f"- **{line}**" for line in info.unjudged)


def beside_verdicts(info: TableInfo) -> str:
    """What the layouts ask for and the tables say nothing of, and what the verdicts cannot say."""
    return "\n\n".join(one for one in (unjudged_markdown(info), "\n".join(f"- **{n}.**" for n in info.notes)) if one)


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
