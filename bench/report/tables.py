"""The paper's Table 1 from verdicts, with what is needed to read it honestly."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bench.cocomig.metrics import AVERAGE, JOINT, METRICS, Estimate, averages
from bench.generators.pull_back import DISTANCE, ETA
from bench.job.batches import CEILING
from bench.layouts.layout_set import LayoutSet
from bench.report.text import as_markdown, as_page, with_intervals
from bench.workers.memory import WHOSE

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

    @classmethod
    def of(cls, layout_set: LayoutSet, **fields: Any) -> TableInfo:
        """With what a layout set says of itself. fields: the others, and what a table says otherwise."""
        known = {
            "layouts": layout_set.name,
            "layout_hash": layout_set.hash,
            "count": len(layout_set),
            "full_size": layout_set.full_size,
            "unjudged": layout_set.unjudged,
            "notes": layout_set.judging_notes,
        }
        return cls(**{**known, **fields})

    @property
    def remarks(self) -> tuple[str, ...]:
        """What tables do not say of the layouts: what is not judged, and what verdicts cannot say."""
        return (*self.unjudged, *self.notes)

    @property
    def part(self) -> str:
        """Which part of the layouts was measured; "" of all."""
        return f"{self.count} of {self.full_size} layouts" if self.count < self.full_size else ""

    @property
    def measured_on(self) -> str:
        """The layouts and seeds, for readers."""
        seeds = ", ".join(map(str, self.seeds))
        return f"{self.count} of {self.full_size} layouts of `{self.layouts}` ({self.layout_hash[:12]}), seeds {seeds}"


def levels_of(levels: Iterable[str]) -> list[str]:
    """Those that occur in a :func:`bench.cocomig.metrics.metric_table`, ascending, and then the average."""
    return [*sorted(set(levels) - {AVERAGE}, key=lambda level: int(level[1:])), AVERAGE]


def table1(metrics: pd.DataFrame, samples: pd.DataFrame, info: TableInfo) -> pd.DataFrame:
    """One row a method: per cent by level and in all (weighted by instances), 95 % intervals, seconds, memory, n.

    metrics: as :func:`bench.cocomig.metrics.metric_table` gives them. seconds: of a batch over its size, mean.
    peak MiB: the largest of a batch. n: images judged. expected: images asked for; fewer were judged where some failed
    or are not done yet.
    """
    found = {(row["method"], row["level"]): row for row in metrics.to_dict("records")}
    levels = levels_of(metrics.level)
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


def lacking(results: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of :func:`table1` that have fewer images than were asked for."""
    return results[results.n < results.expected].to_dict("records")


def failed_lines(samples: pd.DataFrame) -> list[str]:
    """Which samples failed, and why; of more than :data:`SHOWN_FAILURES` how many more."""
    failed = samples[samples.status == "failed"]
    lines = [
        f"{row['method']}, layout {row['layout_index']}, seed {row['seed']} failed: "
        f"{' '.join(str(row['error']).split())[:200]}"
        for row in failed.head(SHOWN_FAILURES).to_dict("records")
    ]
    return lines + ([f"and {len(failed) - SHOWN_FAILURES} more"] if len(failed) > SHOWN_FAILURES else [])


def failure_split(metrics: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Per cent of instances at the right place, of these in the right colour, and why the others fail."""
    average = metrics[metrics.level == AVERAGE].set_index("method")
    rows = [m for m in (*methods, CEILING) if m in average.index]
    table = 100 * average.loc[rows, list(SPLIT)]
    return table.rename(columns={name: METRICS[name].label for name in SPLIT}).reset_index()


def table1_markdown(
    results: pd.DataFrame, metrics: pd.DataFrame, sections: Sequence[str], samples: pd.DataFrame, info: TableInfo
) -> str:
    """The table as a page: results, other sections, failures, what is missing, and how to make it again."""
    about = "**The run went on under other settings (`--force`); what it held was made under the old ones:**"
    forced = "\n".join([about, "", *(f"- {change}" for change in info.forced)])
    ceiling = f"`{CEILING}`: true renderings of the same layouts under the same judge."
    parts = [
        f"# {info.title}",
        f"{info.measured_on}, judge `{info.judge}`. Per cent; Avg is weighted by instances; rounded "
        "(published tables truncate). Intervals: 95 %, over layouts, Student's with one layout all right and one all "
        "wrong added. IoU (any colour): mean of the best IoU, which mIoU counts as 0 where the place is right and the "
        "colour wrong. s/image: a batch's seconds over its size, while every worker was at work." + _memory(samples),
        forced if info.forced else "",
        remarks_markdown(info.remarks),
        as_markdown(with_intervals(results, [METRICS[metric].label for metric in BY_LEVEL])),
        ceiling if CEILING in set(results.method) else "",
        *sections,
        "## Where instances fail",
        as_markdown(failure_split(metrics, info.methods)),
        missing_markdown(results, samples),
        f"Made by `{info.command}`.",
    ]
    return as_page(parts)


def summary(metrics: pd.DataFrame, info: TableInfo) -> dict[str, Any]:
    """For programs: what was run, and each metric of each method as [value, low, high] (fractions, all levels)."""
    results = {
        method: {
            "images": row["images"],
            "instances": row["instances"],
            **{name: _numbers(Estimate.of_row(row, name)) for name in METRICS if name in row},
        }
        for method, row in averages(metrics).items()
    }
    return {**asdict(info), "results": results}


def _numbers(values: Iterable[float]) -> list[float | None]:
    """Rounded; None where undefined, which JSON can say."""
    return [None if math.isnan(value) else round(float(value), 6) for value in values]


def _memory(samples: pd.DataFrame) -> str:
    """Whose memory the table's peaks are; nothing where none was recorded."""
    whose = [WHOSE[one] for one in samples["peak_of"].dropna().unique()]
    return f" peak MiB: the most while a batch was drawn, {' or '.join(whose)}." if whose else ""


def pull_back_markdown(table: pd.DataFrame) -> str:
    """The section of :func:`bench.generators.pull_back.pull_back_table`."""
    if table.empty:
        return ""
    about = (
        "Over √dim, means over the window and the samples: how far x′ lies from each model's mean, and η, how far it "
        "is pulled back. Where η comes near the distance, the model is put back to its own mean, and nothing of the "
        "mix is left; beyond it, the pull-back overshoots."
    )
    shown = table.rename(columns={DISTANCE: "‖x′−μ‖/√dim", ETA: "η/√dim"})
    return f"## Pull-back\n\n{about}\n\n{as_markdown(shown, '.4f')}"


def seeds_markdown(table: pd.DataFrame, of: Sequence[str] = BY_LEVEL) -> str:
    """The section of :func:`bench.cocomig.metrics.over_seeds`. of: the metrics that are shown, where there are such."""
    if table.empty:
        return ""
    table = table[table.level == AVERAGE]
    shown = pd.DataFrame({"method": table.method, "seeds": table.seeds})
    for metric in (name for name in of if f"{name}_mean" in table):
        pairs = zip(table[f"{metric}_mean"], table[f"{metric}_std"], strict=True)
        texts = [f"{100 * mean:.2f} ± {100 * spread:.2f}" for mean, spread in pairs]
        shown[METRICS[metric].label] = [text if "nan" not in text else "–" for text in texts]
    return "## Over seeds\n\nMean ± standard deviation.\n\n" + as_markdown(shown)


def remarks_markdown(remarks: Iterable[str]) -> str:
    """Those of :attr:`TableInfo.remarks`, a list before a table: what it says nothing of, and verdicts cannot say."""
    return "\n".join(f"- **{line}**" for line in remarks)


def missing_markdown(results: pd.DataFrame, samples: pd.DataFrame) -> str:
    """The section on images that were asked for and not judged; nothing where there are none.

    results: of :func:`table1`.
    """
    lines = [
        f"- **{row['method']}: {row['n']} of {row['expected']} images were judged; the others are not counted.**"
        for row in lacking(results)
    ]
    lines += [f"- {line}" for line in failed_lines(samples)]
    return "## Missing\n\n" + "\n".join(lines) if lines else ""
