"""The main job: methods over a layout set: generate, judge, time, tabulate. Run again, it goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Set
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from amdm.errors import InputError
from amdm.io.files import make_folder
from bench.detectors.cache import CACHE_FILE
from bench.detectors.detector import DetectorOptions
from bench.detectors.load import CachedSource
from bench.detectors.registry import check_words
from bench.engines.cluster import RayEngine
from bench.generators import presets
from bench.generators.generator import Generator
from bench.job.batches import torn
from bench.job.plan import Plan
from bench.judges import conditions
from bench.run.info import FILE, RunInfo, Status
from bench.run.inventory import SampleKey
from bench.run.store import RunStore
from bench.stages.generate import generate
from bench.stages.streaming import stream
from bench.stages.verdicts import score


def run_benchmark(
    plan: Plan,
    folder: Path | None,
    reports: Path,
    workers: int,
    force: bool = False,
    source: Callable[[], Generator] | None = None,
    say: Callable[[str], object] = print,
    engine: RayEngine | None = None,
) -> tuple[Path, int]:
    """Generate, judge and tabulate in ``folder`` (by default one that the settings name).

    A run that is there grows by what it lacks of what is asked for; of a part that it holds, what is missing is made.
    source: makes the generator; None makes the one that the job names. It must be picklable for several workers.
    engine: works on a cluster, in place of ``workers`` processes of this machine; the results are the same.
    say: is told where the run grows, where it holds more than was asked for, and where there is nothing to do.
    Returns the folder, and how many samples have no verdicts because they failed; the same call tries these again.

    Raises:
        InputError: before anything is written, for anything that cannot be run.
        KeyboardInterrupt: after the batches in hand were recorded.
    """
    check_words(plan.detector.name, plan.layout_set)
    for note in plan.layout_set.remarks:
        print(InputError(note, field=plan.layout_set.name), file=sys.stderr)
    folder = folder or plan.folder
    whole = plan.grown_from(RunInfo.read(folder).job) if (folder / FILE).exists() else plan
    settings, asked = whole.settings, {one: count for one, count in plan.samples.items() if one in whole.samples}
    report = make_folder(reports / folder.resolve().name)
    with ExitStack() as opened:
        cluster = None if engine is None else opened.enter_context(engine.connected(whole.job.device))
        store = opened.enter_context(RunStore(folder, settings, force, grows=True))
        _grow(store, whole, say)
        if len(asked) < len(whole.samples):
            say(f"{folder} holds more than was asked for: {_held(whole)}; tables are of all of it")
        todo = store.inventory(asked).unjudged
        if not todo:
            say(f"complete: {len(asked)} images are generated and judged; nothing to do")
        else:
            store.begin(workers if cluster is None else cluster.places)
            work = [group for group in whole.batches if not asked.keys().isdisjoint(group.samples())]
            source = source or partial(presets.make_generator, whole.job)
            if cluster is None:
                generate(store, work, source, workers)
                judge_in(store, whole, workers)
            else:
                stream(cluster, store, whole, work, source)
        failures = _conclude(store, whole, asked.keys(), bool(todo))
    from bench.report.write import write_report

    write_report(folder, report, whole)
    return folder, failures


def _grow(store: RunStore, whole: Plan, say: Callable[[str], object]) -> None:
    """Have the run ask for all of a plan; the batches that a smaller limit cut short are made again, whole."""
    held = store.info.job
    if held == whole.job:
        return
    store.grow(whole.settings, torn(Plan.resolve(held).batches, whole.batches))
    say(f"{store.folder} grows to {_held(whole)}")


def _held(whole: Plan) -> str:
    job = whole.job
    return f"{len(whole.layout_set)} layouts, seeds {', '.join(map(str, job.seeds))}, methods {', '.join(job.methods)}"


def _conclude(store: RunStore, whole: Plan, asked: Set[SampleKey], worked: bool) -> int:
    """Record how the run stands, unless only a part was asked for and others are missing; returns how many of that part
    have no verdicts."""
    left = store.inventory(whole.samples).unjudged
    status: Status = "failed samples" if left else "complete"
    if left <= asked and (worked or store.info.status != status):  # or it was stopped after the last record
        store.end(status)
    return len(left & asked)


def judge_in(store: RunStore, plan: Plan, workers: int) -> None:
    """Judge what the run holds with the plan's detector, whose answers are kept beside the pictures."""
    source = CachedSource(plan.detector, plan.facts, store.folder / CACHE_FILE)
    score(store, plan.layout_set.entries, source, workers, conditions.load_judges)


def score_run(
    folder: Path, workers: int, again: bool = False, force: bool = False, detector: DetectorOptions | None = None
) -> tuple[int, int]:
    """Judge the pictures of a run that have no verdicts, or all of them ``again``.

    A run holds the verdicts of one detector, by default the one that it names, and of one judge of actions and one of
    styles, those of this installation; run.json is changed with them. Returns how many pictures have verdicts then,
    and how many have none because judging them failed.

    Raises:
        InputError: it is not a run, or was made under other settings than those of this installation (without
            ``force``); there are verdicts of another detector or judge (without ``again``, whether or not ``force``).
    """
    info = RunInfo.read(folder)
    known, options = info.settings, detector or DetectorOptions(info.detector_name)
    plan = replace(Plan.resolve(info.job), detector=options)
    changed = known.judged_by != plan.settings.judged_by
    check_words(plan.detector.name, plan.layout_set)
    with RunStore(folder, plan.settings.model_copy(update=known.judged_by), force) as store:
        if again and (changed or not store.info.progress.judging_again):  # else it was stopped: what it judged stays
            store.delete_verdicts()
            store.update(judging_again=True)
        if changed:
            if store.verdict_counts():
                asked = f"{plan.settings.judges}, thresholds {plan.facts.thresholds}, {plan.facts.dtype}"
                raise InputError(f"verdicts are of {known.judges}, not of {asked}; --again drops them", file=folder)
            store.set_judges(plan.settings)
        judge_in(store, plan, workers)
        if again:
            store.update(judging_again=False)
        there = store.inventory(plan.samples)
        return len(there.judged), len(there.complete - there.judged)
