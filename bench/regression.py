"""The gate: a run against stored verdicts, instance by instance."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError, printable
from amdm.files import read_json, write_whole
from bench.compare import INSTANCE, flipped_instances
from bench.job import read_run
from bench.metrics import AVERAGE, metric_table
from bench.store import read_run_info, read_table

GATED = ("isr", "miou")
TOLERANCE = {f"{metric}{place}": points for metric in GATED for place, points in (("", 1.5), (".level", 4.0))}
"""Points that ISR and mIoU may fall. Identical code on identical hardware falls by 0; other hardware rounds otherwise
and flips borderline instances."""

LARGEST_FILE = 64 * 2**20
_COLUMNS = [*INSTANCE, "level", "detected", "iou", "success", "attr", "miou"]
_FLAGS = {"detected": bool, "success": bool, "attr": bool}


@dataclass(frozen=True)
class GateResult:
    """failures: one line a metric that fell too far. report: Markdown."""

    failures: list[str]
    report: str


def make_baseline(run: Path, path: Path, reason: str, smaller: bool = False) -> None:
    """Store a run's verdicts as the baseline; the only way to change one. ``reason`` is kept with those before it.

    Raises:
        InputError: no reason, no verdicts, or fewer of them than the baseline has (without ``smaller``).
    """
    if not reason.strip():
        raise InputError("say why the baseline changes", field="reason")
    (job, facts), info, verdicts = read_run(run), read_run_info(run), _verdicts(run)
    if verdicts.empty:
        raise InputError("has no verdicts: against it every run would pass", file=run)
    earlier = _read(path) if path.exists() else {"history": [], "verdicts": []}
    history, there = earlier["history"], len(earlier["verdicts"])
    if len(verdicts) < there and not smaller:
        raise InputError(f"has {len(verdicts)} verdicts, and the baseline {there}; --smaller replaces it", file=run)
    rows = [[*map(_plain, row)] for row in verdicts[_COLUMNS].itertuples(index=False)]
    content = {
        "layouts": job.layouts,
        "layout_hash": facts.layout_hash,
        "count": int(verdicts["layout_index"].nunique()),
        "weights": facts.weights,
        "judge": asdict(facts.judge),
        "packages": info.get("packages"),
        "machine": info.get("machine"),
        "history": [*history, {"reason": reason, "metrics": _metrics(verdicts)}],
        "columns": _COLUMNS,
        "verdicts": rows,
    }
    text = json.dumps(content, indent=1)
    # One verdict a line, so that a change of baseline can be read as a difference.
    head, _, _ = text.partition('"verdicts": [')
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f'{head}"verdicts": [\n{lines}\n ]\n}}\n'.encode())


def check_regression(run: Path, path: Path, tolerance: dict[str, float] | None = None) -> GateResult:
    """Compare a run with the baseline on the same instances.

    Raises:
        InputError: other layouts or another judge, or instances of the baseline that the run lacks.
    """
    limit = tolerance or TOLERANCE
    (_, facts), baseline, now = read_run(run), _read(path), _verdicts(run)
    if facts.layout_hash != baseline["layout_hash"]:
        raise InputError(f"was made on other layouts ({baseline['layouts']})", file=path, field="layout_hash")
    if asdict(facts.judge) != baseline["judge"]:
        raise InputError(f"was judged by {facts.judge}, the baseline by another judge", file=run, field="judge")
    before = _stored(baseline, path)
    now = now.merge(before[INSTANCE], on=INSTANCE)
    if len(now) < len(before):
        held = f"{before['layout_index'].nunique()} layouts and {before['method'].nunique()} methods"
        what = f"lacks {len(before) - len(now)} instances of the baseline, which has {held}; `make regress` runs them"
        raise InputError(what, file=run, field="verdicts")
    old, new = _levels(_with_columns(before, now)), _levels(now)
    failures, lines = [], []
    for (method, level, metric), value in new.items():
        fall = 100 * (old[method, level, metric] - value)
        allowed = limit[metric if level == AVERAGE else f"{metric}.level"]
        if not fall <= allowed:
            failures.append(f"{method} {level} {metric}: fell by {fall:.2f} points (allowed {allowed:g})")
        lines.append(f"| {method} | {level} | {metric} | {100 * (value + fall / 100):.2f} | {100 * value:.2f} |")
    same = "the same weights" if facts.weights == baseline["weights"] else "other weights"
    return GateResult(failures, _report(failures, lines, f"The run has {same}.", flipped_instances(before, now), path))


def read_tolerance(changes: Sequence[str]) -> dict[str, float]:
    """:data:`TOLERANCE` with changes of the form ``"isr=2"`` (in all) and ``"isr.level=5"`` (at each level).

    Raises:
        InputError: another metric, or no number of 0 or more.
    """
    limit = dict(TOLERANCE)
    for text in changes:
        name, _, value = text.partition("=")
        if name not in limit:
            raise InputError(f"{name!r} is not gated; there are: {', '.join(limit)}", field="allow")
        try:
            limit[name] = float(value)
        except ValueError:
            raise InputError(f"{value!r} is not a number", field=f"allow.{name}") from None
        if not 0 <= limit[name] <= 100:
            raise InputError(f"{value!r} is not between 0 and 100", field=f"allow.{name}")
    return limit


def _report(failures: list[str], lines: list[str], weights: str, flips: str, path: Path) -> str:
    verdict = "\n".join(f"- **{failure}**" for failure in failures) or "No metric fell beyond its tolerance."
    table = "\n".join(["| method | level | metric | baseline | now |", "|---|---|---|---|---|", *lines])
    page = "\n\n".join([f"# Regression check against `{path.name}`", verdict, weights, table, flips]) + "\n"
    return printable(page, keep="\n")


def _verdicts(run: Path) -> pd.DataFrame:
    return read_table(run, "verdicts").astype(_FLAGS)


def _stored(baseline: dict[str, Any], path: Path) -> pd.DataFrame:
    """The baseline's verdicts."""
    try:
        table = pd.DataFrame(baseline["verdicts"], columns=_COLUMNS).astype({**_FLAGS, "iou": float, "miou": float})
    except (TypeError, ValueError) as error:
        raise InputError(f"is not a table of {', '.join(_COLUMNS)}", file=path, field="verdicts") from error
    if table.empty or not table[["iou", "miou"]].map(math.isfinite).all(axis=None):
        raise InputError("is empty, or holds what is no number", file=path, field="verdicts")
    return table


def _with_columns(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The baseline's verdicts with the descriptive columns that the metrics ask for."""
    return before.merge(now[[*INSTANCE, "colour", "category", "box_area"]], on=INSTANCE)


def _levels(verdicts: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    table = metric_table(verdicts, intervals=False)
    return {(row["method"], row["level"], m): float(row[m]) for row in table.to_dict("records") for m in GATED}


def _metrics(verdicts: pd.DataFrame) -> dict[str, float]:
    return {
        f"{method} {metric}": round(100 * value, 4)
        for (method, level, metric), value in _levels(verdicts).items()
        if level == AVERAGE
    }


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path, LARGEST_FILE)
    if not isinstance(content, dict):
        raise InputError("is not a JSON object", file=path)
    for field, kind in (
        ("layouts", str),
        ("layout_hash", str),
        ("verdicts", list),
        ("history", list),
        ("judge", dict),
        ("weights", dict),
    ):
        if not isinstance(content.get(field), kind):
            raise InputError("is missing or of another kind", file=path, field=field)
    return content


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return round(value, 6) if isinstance(value, float) else value
