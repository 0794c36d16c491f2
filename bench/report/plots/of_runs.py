"""Which values of runs stand in which figure: the records as tables and page read them, never counted anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from math import isnan
from pathlib import Path

import pandas as pd

from amdm.errors import Faults, InputError, unknown
from amdm.io.files import read_text
from bench.cocomig.metrics import AVERAGE, METRICS, Estimate, averages
from bench.job.batches import CEILING
from bench.report.html import figures
from bench.report.joint import JUDGED, SHOWN, evaluations_of
from bench.report.measured import Measured, Together, together
from bench.report.plots.charts import Curve, Panel, Spot, shown
from bench.report.tables import NAN, levels_of

COSTS = {"evaluations": "evaluations (guided calls) a picture", "seconds": "seconds a picture"}
"""What a picture costs → the axis's name; the other quantities are :data:`bench.cocomig.metrics.METRICS`."""
MAX_TABLE_BYTES = 2**20
"""Bytes; two auxiliaries and eleven numbers of steps take 4,000."""


def read_runs(runs: Sequence[Path], methods: Sequence[str] | None = None) -> Together:
    """methods: all where None. Raises InputError for runs that cannot stand together, or an unknown method."""
    return together([Measured.read(run) for run in runs], methods)


def _curves(runs: Together, values: Mapping[str, Mapping[str, Estimate]]) -> tuple[Curve, ...]:
    """One for each method that is shown and has values, in order."""
    return tuple(Curve(shown(name), runs.styles[name], values[name]) for name in runs.methods if name in values)


def levels(runs: Together, metrics: Sequence[str]) -> list[Panel]:
    """Each metric by level, and over all of them. Raises InputError for a metric that the runs do not have."""
    table = runs.table("metrics")
    places = tuple(levels_of(table.level))
    return [
        Panel(METRICS[name].label, "level", places, _curves(runs, figures.level_values(table, name)), AVERAGE)
        for name in _known(metrics, table)
    ]


def sizes(runs: Together, metrics: Sequence[str]) -> list[Panel]:
    """Each metric by the share of the picture that an instance's box takes."""
    places, found = figures.size_values(runs.table("verdicts"))
    available = list(dict.fromkeys(name for own in found.values() for one in own.values() for name in one))
    plain = {size: size.removesuffix(" %") for size in places}  # the axis says what it is

    def values(metric: str) -> dict[str, dict[str, Estimate]]:
        return {method: {plain[size]: one[metric] for size, one in own.items()} for method, own in found.items()}

    about = "box, per cent of the picture", tuple(plain.values())
    known = _known(metrics, pd.DataFrame(columns=available))
    return [Panel(METRICS[name].label, *about, _curves(runs, values(name))) for name in known]


def tradeoff(runs: Together, x: str | None = None, y: str | None = None) -> tuple[list[Spot], str, str]:
    """A point a method, and the names of the axes.

    x, y: a metric, ``evaluations`` or ``seconds``. By default joint success where the layouts ask for it, else ISR,
    against evaluations where they are known of a method, else seconds. A method without both is left out.

    Raises:
        InputError: a quantity that the runs do not have; no method has both.
    """
    table, samples = runs.table("metrics"), runs.table("samples")
    average = averages(table)
    done = samples[(samples.status == "ok") & (samples.method != CEILING)]
    costs = {
        str(name): {"evaluations": evaluations_of(own), "seconds": float(own.seconds.mean())}
        for name, own in done.groupby("method")
    }
    if y is None:
        y = next((name for name in JUDGED if name in table), "isr")
    if x is None:
        x = "evaluations" if any(not isnan(costs[name]["evaluations"]) for name in costs) else "seconds"
    for field, name in (("x", x), ("y", y)):
        if name not in COSTS:
            _known([name], table, field, COSTS)

    def quantity(method: str, name: str) -> Estimate:
        if name in COSTS:
            return Estimate(costs.get(method, {}).get(name, NAN), NAN, NAN)
        return Estimate.of_row(average.get(method, {}), name).per_cent

    spots = [Spot(shown(one), runs.styles[one], quantity(one, x), quantity(one, y)) for one in runs.methods]
    spots = [one for one in spots if not (isnan(one.x.value) or isnan(one.y.value))]
    if not spots:
        raise InputError(f"no method has both {x} and {y}", field="x")
    across, up = (COSTS[name] if name in COSTS else f"{METRICS[name].label}, per cent" for name in (x, y))
    return spots, across, up


def _known(
    metrics: Sequence[str], table: pd.DataFrame, field: str = "metrics", others: Iterable[str] = ()
) -> Sequence[str]:
    """The names, if the table has a column of each. others: what else ``field`` may name."""
    there = [name for name in METRICS if name in table]
    for name in metrics:
        if name not in there:
            raise unknown("metric of these runs", name, [*there, *others], field=field)
    return metrics


def hand_over_panels(path: Path) -> list[Panel]:
    """A panel for each auxiliary and target: every property over the number of steps that the auxiliary draws.

    Raises:
        InputError: the file is no such table; each cell that is not a share is named by its line and column.
    """
    table = _read(path)
    names = [name for name in SHOWN if name in table]
    panels = []
    for (auxiliary, target), own in table.groupby(["auxiliary", "target"], sort=False):
        rows = own.sort_values("k").to_dict("records")
        curves = tuple(
            Curve(
                METRICS[name].label,
                names.index(name),
                {str(row["k"]): Estimate.of_row(row, name) for row in rows},
            )
            for name in names
        )
        title = f"{shown(str(auxiliary))} for k steps, then {shown(str(target))}"
        panels.append(Panel(title, "k", tuple(str(row["k"]) for row in rows), curves))
    return panels


def _read(path: Path) -> pd.DataFrame:
    """The table, its numbers checked."""
    try:
        table = pd.read_csv(StringIO(read_text(path, MAX_TABLE_BYTES)), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"is not CSV: {str(error).strip()}", file=path) from None
    shares = [f"{name}{end}" for name in SHOWN if name in table for end in ("", "_low", "_high")]
    for name in ("auxiliary", "target", "k", *shares):
        if name not in table:
            raise InputError("is missing: this is not a table of `amdm-bench hand-over`", file=path, field=name)
    if not shares or table.empty:
        raise InputError("holds no measured property", file=path)
    faults, seen = Faults(), set[tuple[str, str, int]]()
    for number, row in enumerate(table.to_dict("records"), 2):
        with faults.at(f"line {number}.k"):
            if not (row["k"].isascii() and row["k"].isdigit() and len(row["k"]) < 6):
                raise InputError(f"{row['k'][:40]!r} is not a number of steps", file=path)
            place = row["auxiliary"], row["target"], int(row["k"])
            if place in seen:
                raise InputError(f"{place[2]} stands twice for this auxiliary and target", file=path)
            seen.add(place)
        for name in shares:
            with faults.at(f"line {number}.{name}"):
                _check_share(row[name], path)
    faults.check()
    numbers = {name: [float(text) if text else float("nan") for text in table[name]] for name in shares}
    return table.assign(k=table.k.astype(int), **numbers)


def _check_share(text: str, path: Path) -> None:
    """Empty (nothing asked for, or one layout), or a number in [0, 1]."""
    try:
        good = text == "" or 0 <= float(text) <= 1
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{text[:40]!r} is not a share between 0 and 1", file=path)
