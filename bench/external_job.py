"""Measuring what others generated: a folder of pictures becomes a run like any other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from amdm.errors import InputError
from amdm.files import make_folder
from bench.detection.registry import DetectorOptions, detector_facts
from bench.external import FoundImages, find_images, read_picture
from bench.generation import Group, GroupResult, Outcome, record_group
from bench.job import IMAGES, Job, now, run_name, score_run
from bench.layouts.layout_set import Entry, LayoutSet
from bench.provenance import circumstances
from bench.reporting import write_report
from bench.store import RunStore


def images_job(layouts: str, method: str, seed: int, detector: DetectorOptions, limit: int | None = None) -> Job:
    """The job that a folder of pictures is measured as; :func:`score_images` puts in what the folder holds."""
    return Job("external", layouts, (method,), (seed,), 1, limit, generator=IMAGES, digest="", detector=detector.name)


def score_images(
    images: Path,
    job: Job,
    mapping: Path | None,
    out: Path | None,
    reports: Path,
    detector: DetectorOptions,
    workers: int,
    report: Callable[[str], None] = print,
) -> tuple[Path, FoundImages, int]:
    """Take the pictures into a run folder, judge them, write the tables.

    A picture that cannot be read is recorded as failed, one that is missing is not recorded: neither counts as 0, and
    the table says of how many it speaks. Returns the run folder, what was found, and how many pictures cannot be read
    or judged.

    Raises:
        InputError: there is no picture for any layout, the folder or the mapping cannot be used, or the run folder was
            made of other pictures.
    """
    layout_set = job.layout_set()
    found = find_images(images, layout_set, mapping)
    report(f"{images}: " + ", ".join(f"{count} {what}" for what, count in found.counts().items()))
    if not found.paths:
        what = (
            f"holds no picture that is named …_<key>.png after a layout of {layout_set.name} (keys {_keys(layout_set)})"
        )
        raise InputError(f"{what}; or map files to keys with --mapping", file=images)
    job = replace(job, digest=found.digest())
    settings = job.settings(layout_set, detector_facts(detector))
    folder = out or Path("runs") / run_name(job, layout_set, settings)
    report_folder = make_folder(reports / folder.resolve().name)
    with RunStore(folder, settings) as store:
        store.update_info(started=store.info.get("started") or now(), command=shlex.join(["amdm-bench", *sys.argv[1:]]))
        store.update_info(workers=workers, taken_from={"folder": str(images), **found.counts()}, **circumstances())
        whole = store.whole_samples()
        for entry in tqdm(layout_set.entries, "take in", unit="image"):
            if entry.index in found.paths and (job.methods[0], entry.index, job.seeds[0]) not in whole:
                record_group(store, _taken_in(job, layout_set, entry, found.paths[entry.index]))
    _, unjudged = score_run(folder, workers, detector=detector)
    with RunStore(folder, settings) as store:
        failed = unjudged + len(store.failed_samples())
        status = "failed samples" if failed else "gaps" if found.gaps() else "complete"
        store.update_info(finished=now(), status=status)
    write_report(folder, report_folder)
    return folder, found, failed


def _keys(layout_set: LayoutSet) -> str:
    keys = [entry.key for entry in layout_set.entries]
    return ", ".join(keys) if len(keys) < 4 else f"{keys[0]}, {keys[1]}, …, {keys[-1]}"


def _taken_in(job: Job, layout_set: LayoutSet, entry: Entry, path: Path) -> GroupResult:
    image, error = None, None
    try:
        image = read_picture(path)
    except InputError as unreadable:
        error = str(unreadable)
    group = Group(job.methods[0], job.seeds[0], layout_set.hash, (entry,))
    return GroupResult(group, [Outcome(entry, image, error, 1, 1, None, {})], [])
