"""The gate: a run against stored verdicts, instance by instance."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from amdm.errors import InputError, printable, unknown
from amdm.io.files import make_folder, read_json, write_atomic
from bench.cocomig.action_style import OUTCOMES
from bench.cocomig.joint import SAMPLE, ConditionTables
from bench.cocomig.metrics import AVERAGE, JOINT, metric_table
from bench.job.conditions import judged_conditions
from bench.layouts.layout_set import Entry
from bench.layouts.named import load_layouts
from bench.report.compare import INSTANCE, flips_markdown, flips_of
from bench.report.text import as_markdown, as_page
from bench.run.info import RunInfo, check_layouts
from bench.run.read import read_table, read_tables

GATED = ("isr", "miou")
TOLERANCE = {
    **{f"{metric}{place}": points for metric in GATED for place, points in (("", 1.5), (".level", 4.0))},
    **dict.fromkeys(JOINT, 6.0),
}
"""Points that ISR and mIoU may fall, in all and at a level, and what is of interactions and styles, in all. Identical
code on identical hardware falls by 0; other hardware rounds otherwise and flips borderline instances. Interactions are
few, so that one weighs more."""

MAX_FILE_BYTES = 64 * 2**20
_COLUMNS = [*INSTANCE, "level", "detected", "iou", "success", "attr", "miou"]
_FLAGS = {"detected": bool, "success": bool, "attr": bool}
INTERACTIONS = [*SAMPLE, "subject", "object", "outcome"]
STYLES = [*SAMPLE, "success"]
FIELD = "conditions"
"""Of a baseline; those of layouts that ask for neither lack it."""


@dataclass(frozen=True)
class Check:
    """One metric of one method at a level ("Avg": all): points in the baseline and now, and how many it may fall."""

    method: str
    level: str
    metric: str
    baseline: float
    now: float
    allowed: float

    @property
    def failure(self) -> str | None:
        """One line where it fell too far."""
        fall = self.baseline - self.now
        if fall <= self.allowed:
            return None
        return f"{self.method} {self.level} {self.metric}: fell by {fall:.2f} points (allowed {self.allowed:g})"


@dataclass(frozen=True)
class GateResult:
    """checks: of every metric. report: Markdown. flips: see :func:`bench.report.compare.flips_of`."""

    checks: list[Check]
    report: str
    flips: list[dict[str, Any]]

    @property
    def failures(self) -> list[str]:
        """One line a metric that fell too far."""
        return [one.failure for one in self.checks if one.failure is not None]

    def as_json(self) -> dict[str, Any]:
        """``passed``, ``failures``, ``checks`` (each with its failure or None), ``flips``, ``report``."""
        checks = [{**vars(one), "failure": one.failure} for one in self.checks]
        found = {"passed": not self.failures, "failures": self.failures, "checks": checks}
        return {**found, "flips": self.flips, "report": self.report}


def make_baseline(run: Path, path: Path, reason: str, smaller: bool = False) -> None:
    """Store a run's verdicts as the baseline; the only way to change one. ``reason`` is kept with those before it.

    Raises:
        InputError: no reason, no verdicts, or fewer of them than the baseline has (without ``smaller``).
    """
    if not reason.strip():
        raise InputError("say why the baseline changes", field="reason")
    info, verdicts, conditions = RunInfo.read(run), _verdicts(run), conditions_of_run(run)
    settings = info.settings
    if verdicts.empty:
        raise InputError("has no verdicts: against it every run would pass", file=run)
    earlier = _read(path) if path.exists() else {"history": [], "verdicts": []}
    history, there = earlier["history"], len(earlier["verdicts"])
    if len(verdicts) < there and not smaller:
        raise InputError(f"has {len(verdicts)} verdicts, and the baseline {there}; --smaller replaces it", file=run)
    rows = [[*map(_plain, row)] for row in verdicts[_COLUMNS].itertuples(index=False)]
    shares = _levels(verdicts, conditions).items()
    metrics = {f"{name} {metric}": round(100 * one, 4) for (name, level, metric), one in shares if level == AVERAGE}
    content = {
        "layouts": info.job.layouts,
        "layout_hash": settings.layout_hash,
        "count": int(verdicts["layout_index"].nunique()),
        "weights": settings.weights,
        "judge": settings.judge.model_dump(),
        "condition_judges": settings.condition_judges,
        "packages": settings.environment.packages,
        "machine": info.provenance and info.provenance.machine,
        "history": [*history, {"reason": reason, "metrics": metrics}],
        **as_json(conditions),
        "columns": _COLUMNS,
        "verdicts": rows,
    }
    text = json.dumps(content, indent=1)
    # One verdict a line, so that a change of baseline can be read as a difference.
    head, _, _ = text.partition('"verdicts": [')
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    make_folder(path.parent)
    write_atomic(path, f'{head}"verdicts": [\n{lines}\n ]\n}}\n'.encode())


def check_regression(run: Path, path: Path, tolerance: dict[str, float] | None = None) -> GateResult:
    """Compare a run with the baseline on the same instances.

    Raises:
        InputError: other layouts or another judge, or instances of the baseline that the run lacks; a picture without
            verdicts on what its layout asks for.
    """
    limit = tolerance or TOLERANCE
    settings, baseline = RunInfo.read(run).settings, _read(path)
    if settings.layout_hash != baseline["layout_hash"]:
        raise InputError(f"was made on other layouts ({baseline['layouts']})", file=path, field="layout_hash")
    for field, now in settings.model_dump(include={"judge", "condition_judges"}).items():
        if now != baseline[field]:
            raise InputError(f"was judged by {settings.judges}, the baseline by another judge", file=run, field=field)
    before = _stored(baseline, path)
    now = _verdicts(run).merge(before[INSTANCE], on=INSTANCE)
    if len(now) < len(before):
        held = f"{before['layout_index'].nunique()} layouts and {before['method'].nunique()} methods"
        what = f"lacks {len(before) - len(now)} instances of the baseline, which has {held}; `make regress` runs them"
        raise InputError(what, file=run, field="verdicts")
    described = before.merge(now[[*INSTANCE, "colour", "category", "box_area"]], on=INSTANCE)  # as metrics ask
    old = _levels(described, from_json(baseline, path, run))
    new = _levels(now, of_samples(conditions_of_run(run), before))
    checks = []
    for (method, level, metric), before_value in old.items():
        value = new.get((method, level, metric), 0.0)  # with nothing in place no action is right
        allowed = limit[metric if level == AVERAGE else f"{metric}.level"]
        checks.append(Check(method, level, metric, 100 * before_value, 100 * value, allowed))
    same = "the same weights" if settings.weights == baseline["weights"] else "other weights"
    flips = flips_of(before, now)
    return GateResult(checks, _report(checks, f"The run has {same}.", flips_markdown(flips), path), flips)


def read_tolerance(changes: Sequence[str]) -> dict[str, float]:
    """:data:`TOLERANCE` with changes of the form ``"isr=2"`` (in all) and ``"isr.level=5"`` (at each level).

    Raises:
        InputError: another metric, or no number of 0 or more.
    """
    limit = dict(TOLERANCE)
    for text in changes:
        name, _, value = text.partition("=")
        if name not in limit:
            raise unknown("gated metric", name, limit, field="allow")
        try:
            limit[name] = float(value)
        except ValueError:
            raise InputError(f"{value!r} is not a number", field=f"allow.{name}") from None
        if not 0 <= limit[name] <= 100:
            raise InputError(f"{value!r} is not between 0 and 100", field=f"allow.{name}")
    return limit


def _report(checks: Sequence[Check], weights: str, flipped: str, path: Path) -> str:
    failures = [one.failure for one in checks if one.failure is not None]
    verdict = "\n".join(f"- **{failure}**" for failure in failures) or "No metric fell beyond its tolerance."
    columns = ["method", "level", "metric", "baseline", "now"]
    table = as_markdown(pd.DataFrame([asdict(one) for one in checks], columns=columns))
    return as_page([f"# Regression check against `{path.name}`", verdict, weights, table, flipped])


def _verdicts(run: Path) -> pd.DataFrame:
    return read_table(run, "verdicts").astype(_FLAGS)


def _stored(baseline: dict[str, Any], path: Path) -> pd.DataFrame:
    """The baseline's verdicts."""
    try:
        table = pd.DataFrame(baseline["verdicts"], columns=_COLUMNS).astype({**_FLAGS, "iou": float, "miou": float})
    except (TypeError, ValueError) as error:
        raise InputError(f"is not a table of {', '.join(_COLUMNS)}", file=path, field="verdicts") from error
    if table.empty or not table[["iou", "miou"]].map(math.isfinite).all(axis=None):
        raise InputError("is empty, or holds something that is not a number", file=path, field="verdicts")
    return table


def _levels(verdicts: pd.DataFrame, conditions: ConditionTables) -> dict[tuple[str, str, str], float]:
    """(method, level, metric) → share, of what is gated and known: interactions and styles over all levels only."""
    table = metric_table(verdicts, intervals=False, conditions=conditions)
    found: dict[tuple[str, str, str], float] = {}
    for row in table.to_dict("records"):
        joint = [name for name in JOINT if row["level"] == AVERAGE and not math.isnan(row.get(name, math.nan))]
        found |= {(row["method"], row["level"], metric): float(row[metric]) for metric in (*GATED, *joint)}
    return found


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path, MAX_FILE_BYTES)
    if not isinstance(content, dict):
        raise InputError("is not a JSON object", file=path)
    content.setdefault("condition_judges", {})  # those of before have none
    kinds = {"layouts": str, "layout_hash": str, "verdicts": list, "history": list}
    for field, kind in {**kinds, **dict.fromkeys(("judge", "condition_judges", "weights"), dict)}.items():
        if not isinstance(content.get(field), kind):
            raise InputError("is missing or of another kind", file=path, field=field)
    return content


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return round(value, 6) if isinstance(value, float) else value


def conditions_of_run(run: Path) -> ConditionTables:
    """Of a run folder, the columns that a baseline keeps. Raises InputError as :func:`_tables`."""
    interactions, styles = read_tables(run, "interactions", "styles")
    return _tables(interactions[INTERACTIONS], styles[STYLES].astype({"success": bool}), run)


def as_json(conditions: ConditionTables) -> dict[str, Any]:
    """What a baseline holds of them: {} where there are none."""
    rows = {name: getattr(conditions, name).to_numpy().tolist() for name in ("interactions", "styles")}
    return {} if conditions.empty else {FIELD: rows}


def from_json(baseline: dict[str, Any], path: Path, run: Path) -> ConditionTables:
    """Of a baseline's JSON.

    Args:
        run: a run folder of the same layouts, which say what is asked for.

    Raises:
        InputError: it does not hold what :func:`as_json` writes, or as :func:`_tables`.
    """
    stored = baseline.get(FIELD, {"interactions": [], "styles": []})
    try:
        numbers = dict.fromkeys(("layout_index", "seed", "subject", "object"), int)
        interactions = pd.DataFrame(stored["interactions"], columns=INTERACTIONS).astype(numbers)
        kinds = {"layout_index": int, "seed": int, "success": bool}
        styles = pd.DataFrame(stored["styles"], columns=STYLES).astype(kinds)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("holds no verdicts on interactions and styles", file=path, field=FIELD) from error
    if not set(interactions.outcome) <= set(OUTCOMES):
        raise InputError(f"an outcome is none of {', '.join(OUTCOMES)}", file=path, field=FIELD)
    return _tables(interactions, styles, run)


def of_samples(conditions: ConditionTables, samples: pd.DataFrame) -> ConditionTables:
    """Those of some samples (the columns of SAMPLE)."""
    wanted = samples[SAMPLE].drop_duplicates()
    interactions, styles, asked = conditions
    return ConditionTables(interactions.merge(wanted, on=SAMPLE), styles.merge(wanted, on=SAMPLE), asked)


def _tables(interactions: pd.DataFrame, styles: pd.DataFrame, run: Path) -> ConditionTables:
    """With what the layouts of a run ask for; they are read where there is any verdict.

    Raises:
        InputError: the layouts are not there, or not those that were run.
    """
    entries: tuple[Entry, ...] = ()
    if not (interactions.empty and styles.empty):
        recorded = RunInfo.read(run)
        layout_set = load_layouts(recorded.job.layouts)
        check_layouts(layout_set, recorded.settings, run)
        entries = layout_set.entries
    return ConditionTables(interactions, styles, judged_conditions(entries))


def junit_xml(result: GateResult, run: str) -> bytes:
    """A test suite: a case for each metric of each method and level, which failed where the metric fell too far."""
    suite = ElementTree.Element(
        "testsuite",
        name="amdm-bench regress",
        tests=str(len(result.checks)),
        failures=str(len(result.failures)),
        errors="0",
        skipped="0",
    )
    for one in result.checks:
        name = {"classname": f"{run}.{one.method}", "name": f"{one.level} {one.metric}"}
        # XML has no place for control characters, which names in records may hold.
        case = ElementTree.SubElement(suite, "testcase", {key: printable(text) for key, text in name.items()}, time="0")
        if one.failure is not None:
            failure = ElementTree.SubElement(case, "failure", message=printable(one.failure), type="regression")
            failure.text = f"baseline {one.baseline:.2f}, now {one.now:.2f}, allowed to fall by {one.allowed:g} points"
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
