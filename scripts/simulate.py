"""Hours of a job on 1 … 1,000 GPUs, and the stage that is its first bottleneck: a discrete-event simulation.

    python -m scripts.simulate --limit 50                       # stages timed here, then the job simulated
    python -m scripts.simulate --limit 50 --save times.json     # the stages' seconds, kept ...
    python -m scripts.simulate --times times.json               # ... for the job as a whole, or on another machine
    python -m scripts.simulate --limit 50 --check               # the job run with 1, 2 and 4 workers: within 15 %?
    python -m scripts.simulate --limit 50 --check --engine ray --workers 1,2    # and by Ray?

Engines: "workers" is one machine with a worker a GPU, whose parent process alone writes (bench.workers.processes);
"shards" a machine a GPU, each with a writer of its own (--shard i/n, then merge); "ray" a cluster with an actor a GPU,
whose command alone writes (bench.stages.streaming), simulated where Ray is installed. The bottleneck is the stage
without which the job would be shortest. All batches of a method take the same time a picture; tables and merging are
not counted. On GPUs no worker slows another; --check has the processes of this machine share its cores evenly.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer

from amdm.console import run_app
from amdm.errors import InputError
from bench.benchmark import judge_in
from bench.cli import options as opt
from bench.cli.main import DEFAULT_METHODS
from bench.defaults import preset_job
from bench.detectors.cache import CACHE_FILE
from bench.detectors.load import CachedSource
from bench.engines.cluster import RayEngine
from bench.estimate import MACHINES
from bench.generators import presets
from bench.job.batches import Group, share
from bench.job.plan import Plan
from bench.job.seeds import seeds_of
from bench.job.spec import Job
from bench.run.read import read_table
from bench.run.store import RunStore
from bench.stages.generate import GroupWorker, generate, record_group
from bench.stages.streaming import stream
from bench.stages.verdicts import SCORING_BATCH, Picture, ScoringWorker
from scripts.simulation import Times, job_seconds

ALLOWED = 0.15
"""By which share a simulated time may miss the measured one."""
Engine = Literal["workers", "ray"]


def simulate(times: Times, work: Sequence[Group], gpus: Iterable[int] = MACHINES) -> pd.DataFrame:
    """Columns engine, GPUs, hours, GPU-hours, speed-up, bottleneck; GPUs that get nothing count as held, too."""
    groups = len({group.entries[0].index for group in work})
    rows: list[dict[str, Any]] = []
    for engine in ("workers", "shards", *(["ray"] if times.ray is not None else [])):
        for n in gpus:
            parts = min(n, groups)
            of_one = share(list(work), (1, parts)) if engine == "shards" else work  # the first part is the largest
            seconds_of = partial(job_seconds, work=of_one, workers=1 if engine == "shards" else n, ray=engine == "ray")
            seconds = seconds_of(times)
            saved = {f.name: seconds - seconds_of(times.without(f.name)) for f in fields(Times)}
            most = parts if engine == "shards" else len(work)
            idle = f"; no more than {most} have work" if n > most else ""
            rows.append(
                {
                    "engine": engine,
                    "GPUs": n,
                    "hours": seconds / 3600,
                    "GPU-hours": n * seconds / 3600,
                    "bottleneck": max(saved, key=saved.__getitem__) + idle,
                }
            )
    table = pd.DataFrame(rows)
    alone = table.groupby("engine")["hours"].transform("first")
    table.insert(4, "speed-up", alone / table["hours"])
    return table


def measure(plan: Plan, folder: Path) -> Times:
    """Time every stage by the benchmark's own code on two batches of each method; ``folder`` is made for them."""
    began = time.perf_counter()
    worker = GroupWorker(partial(presets.make_generator, plan.job))
    load, draw, write = time.perf_counter() - began, {}, []
    start = max(0.0, _in_new_process(plan.job) - load)
    with RunStore(folder, plan.settings) as store:
        for method in dict.fromkeys(group.method for group in plan.batches):
            seconds = []
            own = [group for group in plan.batches if group.method == method]
            for group in (own * 2)[:2]:
                began = time.perf_counter()
                result = worker(group)
                drawn = time.perf_counter()
                record_group(store, result)
                seconds.append((drawn - began) / len(group.entries))
                write.append((time.perf_counter() - drawn) / len(group.entries))
            if not draw:  # what a first batch does once
                load += max(0.0, seconds[0] - seconds[1]) * len(own[0].entries)
            draw[method] = seconds[1]
        load_judge, judge, record = _measure_judging(plan, store)
    return Times(start, load, load_judge, draw, judge, sum(write) / len(write), record, _measure_ray(plan.job.device))


def _measure_ray(device: str) -> float | None:
    if find_spec("ray") is None:
        return None
    began = time.perf_counter()
    with RayEngine("local").connected(device):
        pass
    return time.perf_counter() - began


def _measure_judging(plan: Plan, store: RunStore) -> tuple[float, float, float]:
    """Seconds that a first batch takes more than others do; of judging a picture; of recording its verdicts."""
    entries = {entry.index: entry for entry in plan.layout_set.entries}
    samples = read_table(store.folder, "samples")
    worker = ScoringWorker(CachedSource(plan.detector, plan.facts, store.folder / CACHE_FILE))
    made = [own.head(SCORING_BATCH).to_dict("records") for _, own in samples.groupby("method")]
    batches = [part for rows in made for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]) if part]
    judging, recording = [], []
    for rows in batches:
        batch = [Picture(r["method"], r["seed"], entries[r["layout_index"]], store.folder / r["image"]) for r in rows]
        began = time.perf_counter()
        found = worker(batch)
        judged = time.perf_counter()
        store.record(judged=found.judged)
        judging.append(judged - began)
        recording.append(time.perf_counter() - judged)
    pictures = [len(rows) for rows in batches]
    later = slice(1, None) if len(batches) > 1 else slice(None)
    each = sum(judging[later]) / sum(pictures[later])
    return max(0.0, judging[0] - each * pictures[0]), each, sum(recording) / sum(pictures)


def _in_new_process(job: Job) -> float:
    """Seconds until a worker process has started and loaded."""
    began = time.perf_counter()
    with get_context("spawn").Pool(1) as pool:
        pool.apply(_load, (job,))
        return time.perf_counter() - began


def _load(job: Job) -> None:
    GroupWorker(partial(presets.make_generator, job))


def check(plan: Plan, times: Times, counts: Sequence[int], folder: Path, engine: Engine = "workers") -> pd.DataFrame:
    """Run the job with each number of workers: columns workers, simulated s, measured s, deviation."""
    cores = math.inf if plan.job.device.startswith("cuda") else len(os.sched_getaffinity(0))
    rows = []
    for n in counts:
        simulated, began = job_seconds(times, plan.batches, n, engine == "ray", cores), time.perf_counter()
        with ExitStack() as opened:
            store = opened.enter_context(RunStore(folder / f"{engine}-{n}", plan.settings))
            source = partial(presets.make_generator, plan.job)
            if engine == "ray":
                cluster = opened.enter_context(RayEngine("local", workers=n).connected(plan.job.device))
                stream(cluster, store, plan, plan.batches, source)
            else:
                generate(store, plan.batches, source, n)
                judge_in(store, plan, n)
        took = time.perf_counter() - began
        rows.append({"workers": n, "simulated s": simulated, "measured s": took, "deviation": simulated / took - 1})
    return pd.DataFrame(rows)


def main(
    profile: Annotated[str, typer.Option(help="mini or paper")] = "mini",
    layouts: Annotated[str | None, typer.Option(help="a layout set by name, or a file")] = None,
    methods: Annotated[str, typer.Option(help="with commas")] = ",".join(DEFAULT_METHODS),
    limit: Annotated[int | None, typer.Option(help="layouts")] = None,
    seeds: Annotated[str, typer.Option(help="for example 0-9")] = "0",
    batch: Annotated[int | None, typer.Option(help="samples drawn together")] = None,
    times: Annotated[Path | None, typer.Option(help="stage times that --save wrote, in place of measuring")] = None,
    save: Annotated[Path | None, typer.Option(help="the file for the measured stage times")] = None,
    check_workers: Annotated[
        bool, typer.Option("--check", help="run the job; exit 1 if a time misses by 15 %")
    ] = False,
    workers: Annotated[str, typer.Option(help="of --check: how many, with commas")] = "1,2,4",
    engine: Annotated[Engine, typer.Option(help="of --check")] = "workers",
) -> None:
    """Measure or read stage times, then simulate, or check the simulation."""
    counts = opt.integers(workers, "workers")
    job = preset_job(profile, opt.names(methods), layouts=layouts, seeds=seeds_of(seeds), batch=batch, limit=limit)
    plan = Plan.resolve(job)
    with tempfile.TemporaryDirectory(prefix="amdm-simulate-") as scratch:
        if times is None:
            known = measure(plan, Path(scratch) / "stages")
        else:
            known = Times.read(times, (group.method for group in plan.batches))
        typer.echo(f"seconds of the stages: {json.dumps(asdict(known))}")
        if check_workers and engine == "ray" and known.ray is None:
            raise InputError("has no seconds of Ray: measure where it is installed", file=times, field="ray")
        if save is not None:
            save.write_text(json.dumps(asdict(known), indent=2) + "\n", encoding="utf-8")
        if not check_workers:
            typer.echo(simulate(known, plan.batches).to_markdown(index=False, floatfmt=".3g"))
            return
        found = check(plan, known, counts, Path(scratch), engine)
    load = os.getloadavg()[0]
    typer.echo(f"{found.to_markdown(index=False, floatfmt='.3f')}\n\nload {load:.1f} on {os.cpu_count()} processors")
    if not math.isfinite(found["deviation"].max()) or (found["deviation"].abs() > ALLOWED).any():
        raise typer.Exit(1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_app(app, "simulate.py")
