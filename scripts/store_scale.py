"""A run of many samples on the store's side: time and memory while records are written, and of its tables.

    python scripts/store_scale.py                                    # 1,000,000 samples; writes reports/store_scale.md
    python scripts/store_scale.py --samples 2000000 --lift --to DIR  # beyond the limits of a run, which are lifted
    python scripts/store_scale.py --at /dev/shm                      # in memory: without what the disk takes to flush

Synthetic records of the mini layouts, written as the benchmark writes them: a transaction for the samples of a batch,
and one for its verdicts. There are no pictures: drawing, judging, PNG files and their digests are not part of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

import bench.job.spec
import bench.run.read
from amdm.errors import InputError
from bench.cocomig.finding import Finding
from bench.cocomig.verdict import Verdict
from bench.defaults import preset_job
from bench.job.batches import Group, groups
from bench.job.plan import Plan
from bench.layouts.layout_set import Entry
from bench.report.measured import Measured
from bench.report.write import write_tables
from bench.run.images import picture_name
from bench.run.schema import DATABASE, finding_row, verdict_row
from bench.run.store import RunStore

METHODS = ("interactdiffusion", "migc")
LAYOUTS = 800
PARTS = 10
"""Into which the writing is divided: each should take the same time and leave the memory as it was."""
MIB = 2**20


@dataclass(frozen=True)
class Scale:
    """parts: of each tenth of the samples how many there are then, seconds on the clock and of the processor, memory
    and database in MiB. tables: seconds of reading the run and writing its tables, or why that was refused; tables_cpu:
    of the processor. peak: MiB of memory, with the tables."""

    parts: pd.DataFrame
    tables: float | str
    tables_cpu: float
    peak: float


def measure(samples: int, folder: Path) -> Scale:
    """Write as many samples, up to whole seeds, into a run under ``folder``, then its tables."""
    seeds = range(math.ceil(samples / (LAYOUTS * len(METHODS))))
    plan = Plan.resolve(preset_job("mini", METHODS, layouts="mini", seeds=seeds, device="cpu"))
    work = groups(plan.layout_set, METHODS, seeds, plan.job.batch)
    with RunStore(folder / "run", plan.settings) as store:
        parts = write(store, work)
        store.end("complete")
    began, used = time.perf_counter(), time.process_time()
    try:
        write_tables(folder / "report", Measured.read(folder / "run", plan))
        tables: float | str = time.perf_counter() - began
    except InputError as error:
        tables = f"refused: {error}"
    return Scale(parts, tables, time.process_time() - used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def write(store: RunStore, work: Sequence[Group]) -> pd.DataFrame:
    """Record synthetic samples and verdicts; one row for each of :data:`PARTS` (see :class:`Scale`)."""
    numbers, rows, done = np.random.default_rng(0), [], 0
    ends = [round(len(work) * (k + 1) / PARTS) for k in range(PARTS)]
    began, used = time.perf_counter(), time.process_time()
    for k, group in enumerate(work, start=1):
        store.record(samples=[_sample(group, entry) for entry in group.entries])
        store.record(judged=_judged(group, numbers))
        done += len(group.entries)
        if k in ends:
            size = (store.folder / DATABASE).stat().st_size
            took = {"s": time.perf_counter() - began, "CPU s": time.process_time() - used}
            rows.append({"samples": done, **took, "memory MiB": _resident(), "database MiB": size / MIB})
            began, used = time.perf_counter(), time.process_time()
    return pd.DataFrame(rows)


def report(scale: Scale, command: str) -> str:
    """The Markdown page."""
    parts = scale.parts.copy()
    parts.insert(3, "CPU ms a sample", 1000 * parts["CPU s"] / parts["samples"].diff().fillna(parts["samples"]))
    first, last = parts.iloc[0], parts.iloc[-1]
    grown = last["memory MiB"] - first["memory MiB"]
    tables = (
        scale.tables
        if isinstance(scale.tables, str)
        else f"{scale.tables:.1f} s, {scale.tables_cpu:.1f} s of the processor"
    )
    summary = [
        f"- the last tenth took {last['CPU ms a sample'] / first['CPU ms a sample']:.2f} times the first tenth's "
        f"processor time a sample, and {last['s'] / first['s']:.2f} times its seconds",
        f"- memory of the process grew by {grown:.1f} MiB from the end of the first tenth to the end",
        f"- reading the run and writing its tables: {tables}",
        f"- most memory, with the tables: {scale.peak:,.0f} MiB",
    ]
    about = (
        f"{int(last['samples']):,} synthetic samples written to a run folder, a transaction for the samples of a batch "
        "and one for its verdicts; a row is a tenth of them, with the seconds of that tenth. No pictures, no networks. "
        f"Load of the machine at the end, mean of a minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors. "
        f"Made by `{command}`."
    )
    parts["samples"] = [f"{count:,}" for count in parts["samples"]]
    formats = ("", ".1f", ".1f", ".3f", ".1f", ".1f")
    table = parts.to_markdown(index=False, floatfmt=formats, disable_numparse=[0], colalign=["right"] * len(formats))
    return "\n\n".join(["# The run store at scale", about, table, "\n".join(summary)]) + "\n"


def lift_limits() -> None:
    """Of this process alone: how many pictures, rows and bytes a run may have."""
    bench.job.spec.MAX_SAMPLES = bench.run.read.MAX_ROWS = sys.maxsize
    bench.run.read.MAX_DATABASE_BYTES = sys.maxsize


def _sample(group: Group, entry: Entry) -> dict[str, Any]:
    image = str(picture_name(group.method, entry.image_id, entry.key, group.seed))
    digest = hashlib.sha256(image.encode()).hexdigest()
    return {
        **{"method": group.method, "layout_index": entry.index, "seed": group.seed, "status": "ok", "attempts": 1},
        **{"image": image, "sha256": digest, "batch_size": len(group.entries), "seconds": 0.1},
        **{"evaluations": json.dumps({group.method: 20}), "peak_bytes": 2**29, "peak_of": "process"},
    }


def _judged(group: Group, numbers: np.random.Generator) -> dict[str, list[tuple[Any, ...]]]:
    """Verdicts and findings of a batch; about half of the instances are right."""
    rows: dict[str, list[tuple[Any, ...]]] = {"verdicts": [], "findings": []}
    for entry in group.entries:
        for k, instance in enumerate(entry.layout.instances):
            iou = float(numbers.random())
            placed = iou >= 0.5
            verdict = Verdict(True, iou, placed, placed, iou, 400 if placed else None, 300 if placed else None)
            finding = Finding(instance.box, entry.labels[k].colour if placed else None, 0.75 if placed else None)
            rows["verdicts"].append(verdict_row(group.method, group.seed, entry, k, verdict))
            rows["findings"].append(finding_row(group.method, group.seed, entry, k, finding))
    return rows


def _resident() -> float:
    """MiB of memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / MIB


def main(
    samples: Annotated[int, typer.Option(help="at least so many, up to whole seeds", min=1)] = 1_000_000,
    to: Annotated[Path, typer.Option(help="the folder for store_scale.md")] = Path("reports"),
    lift: Annotated[bool, typer.Option("--lift", help="lift the limits of a run")] = False,
    at: Annotated[Path | None, typer.Option(help="where the run lies meanwhile, for example /dev/shm")] = None,
) -> None:
    """Measure, print and write."""
    if lift:
        lift_limits()
    with tempfile.TemporaryDirectory(prefix="amdm-scale-", dir=at) as scratch:
        scale = measure(samples, Path(scratch))
    asked = ("" if samples == 1_000_000 else f" --samples {samples}") + (" --lift" if lift else "")
    asked += "" if at is None else f" --at {at}"
    page = report(scale, f"python scripts/store_scale.py{asked}")
    to.mkdir(parents=True, exist_ok=True)
    (to / "store_scale.md").write_text(page, encoding="utf-8")
    typer.echo(page)


if __name__ == "__main__":
    typer.run(main)
