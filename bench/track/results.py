"""What of a run goes to a tracker."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from amdm.errors import InputError, printable
from bench.cocomig.metrics import AVERAGE, METRICS
from bench.job.batches import CEILING
from bench.report.measured import Measured
from bench.run.images import read_image, stored_file
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.schema import SAMPLE_KEY

MAX_PICTURES = 50


class Shown(NamedTuple):
    """A picture, uint8 RGB (H, W, 3), and what is wrong with it."""

    caption: str
    image: np.ndarray


@dataclass(frozen=True)
class Results:
    """name: of the run folder. key: the same for the same run, also when it went on. config: its settings by name.
    metrics: fractions by "method/metric" and "method/level/metric". table: Table 1. pictures: those with the most
    instances that failed, the first of them up to :data:`MAX_PICTURES`. folder: where its report lies."""

    name: str
    key: str
    config: dict[str, Any]
    metrics: dict[str, float]
    table: pd.DataFrame
    pictures: list[Shown]
    folder: Path


def results_of(run: Path, report: Path) -> Results:
    """Of a run whose report is written. Raises InputError where it is no run."""
    info, measured = RunInfo.read(run), Measured.read(run)
    verdicts, metrics = measured.verdicts, measured.metrics
    key = hashlib.sha256(f"{run.resolve()}\0{info.progress.started}".encode()).hexdigest()[:16]
    return Results(
        printable(run.resolve().name),
        key,
        info.settings.by_name(),
        _flat(metrics),
        measured.table1.round(4),
        _failures(run, verdicts),
        report,
    )


def _flat(metrics: pd.DataFrame) -> dict[str, float]:
    found = {}
    for row in metrics.to_dict("records"):
        place = row["method"] if row["level"] == AVERAGE else f"{row['method']}/{row['level']}"
        for name in METRICS:
            if name in row and not math.isnan(row[name]):
                found[printable(f"{place}/{name}")] = float(row[name])
    return found


def _failures(run: Path, verdicts: pd.DataFrame) -> list[Shown]:
    own = verdicts[verdicts["method"] != CEILING]
    counts = own.groupby([*SAMPLE_KEY])["attr"].agg(["sum", "size"]).reset_index()
    failed = counts.assign(wrong=counts["size"] - counts["sum"]).query("wrong > 0")
    samples = failed.merge(read_table(run, "samples"), on=[*SAMPLE_KEY])
    chosen = samples.sort_values(["wrong", *SAMPLE_KEY], ascending=[False, True, True, True]).head(MAX_PICTURES)
    shown = []
    for row in chosen.to_dict("records"):
        what = f"{row['method']}, layout {row['layout_index']}, seed {row['seed']}"
        with suppress(InputError):  # torn, or not there
            image = read_image(stored_file(run, row["image"]) or Path(""))
            shown.append(Shown(printable(f"{what}: {row['wrong']} of {row['size']} wrong"), image))
    return shown
