"""Measuring what others generated: a folder of pictures becomes a run like any other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from amdm.errors import InputError, printable
from amdm.io.files import make_folder
from amdm.io.images import FORMATS
from amdm.progress import Progress
from bench.benchmark import score_run
from bench.detectors.registry import check_words
from bench.generators.fetched import images_of
from bench.generators.folder import FoundImages
from bench.io.remote import RemoteFolder
from bench.job.batches import Group
from bench.job.plan import Plan
from bench.layouts.layout_set import LayoutSet
from bench.report.write import write_report
from bench.run.images import read_image
from bench.run.store import RunStore
from bench.stages.generate import GroupResult, SampleResult, record_group


def score_images(
    images: Path | RemoteFolder,
    plan: Plan,
    *,
    out: Path | None = None,
    reports: Path = Path("reports"),
    mapping: Path | None = None,
    seeds_in_names: bool = False,
    workers: int = 1,
    report: Callable[[str], None] = print,
) -> tuple[Path, FoundImages, int]:
    """Take the pictures into a run folder, judge them, write the tables.

    A picture that cannot be read is recorded as failed, one that is missing is not recorded: neither counts as 0, and
    the table says of how many it speaks. Returns the run folder, what was found, and how many pictures cannot be read
    or judged.

    Args:
        images: a folder, or a remote folder (:mod:`bench.io.remote`), of which only what is measured is fetched.
        plan: of :func:`bench.defaults.images_job`.
        out: the run folder; by default one under ``runs`` that the settings name.
        mapping: see :func:`bench.generators.folder.find_images`.
        seeds_in_names: the seeds are those that names or the mapping say, not the job's.

    Raises:
        InputError: there is no picture for any layout, the folder or the mapping cannot be used, or the run folder was
            made of other pictures.
    """
    layout_set = plan.layout_set
    with images_of(images, layout_set, mapping, None if seeds_in_names else plan.job.seeds[0]) as (held, found):
        for note in layout_set.remarks:
            print(InputError(note, field=layout_set.name), file=sys.stderr)
        report(f"{images}: {summary(found)}")
        if not found.paths:
            raise InputError(_why_nothing(found, layout_set), file=images)
        check_words(plan.detector.name, layout_set)
        plan = replace(plan, job=replace(plan.job, digest=found.digest(), seeds=found.seeds))
        settings, folder = plan.settings, out or plan.folder
        report_folder = make_folder(reports / folder.resolve().name)
        with RunStore(folder, settings) as store:
            store.begin(workers, taken_from={"folder": printable(str(images)), **found.counts()})
            named = {path: f"{images}/{path.relative_to(held).as_posix()}" for path in found.paths.values()}
            _take_in(store, plan.job.methods[0], layout_set, found, named)
    _, unjudged = score_run(folder, workers, detector=plan.detector)
    with RunStore(folder, settings) as store:
        failed = unjudged + len(store.failed_samples())
        store.end("failed samples" if failed else "gaps" if found.gaps() else "complete")
    write_report(folder, report_folder, plan)
    return folder, found, failed


def summary(found: FoundImages) -> str:
    """What was found and what was left aside, on one line."""
    counts = ", ".join(f"{count} {what}" for what, count in found.counts().items())
    seeds = f"; seeds {', '.join(map(str, found.seeds))}" if found.seeds != (0,) else ""
    return f"{counts}{seeds}{'; ' * bool(found.note)}{found.note}"


def _why_nothing(found: FoundImages, layout_set: LayoutSet) -> str:
    """Two causes, two remedies: several pictures for each layout, or names that say no layout."""
    if found.clash:
        several = "for several seeds, folders seed0, seed1, … or names …_seed1_<key>.png, without --seed"
        rest = f"keep one for each layout ({several}), or map files to keys with --mapping"
        return f"{found.clash}; of {len(found.duplicate)} such files none is taken: {rest}"
    what = f"holds no picture that is named …_<key>.png after a layout of {layout_set.name} (keys {_keys(layout_set)})"
    example = [*found.ambiguous, *found.stray, *found.twins, *found.other, *found.foreign]
    shown = f", but for example {example[0]!r}" if example else ""
    if found.linked:
        shown += f" (links to folders are not entered: {found.linked[0]!r})"
    return f"{what}{shown}; or map files to keys with --mapping"


def _keys(layout_set: LayoutSet) -> str:
    keys = [entry.key for entry in layout_set.entries]
    return ", ".join(keys) if len(keys) < 4 else f"{keys[0]}, {keys[1]}, …, {keys[-1]}"


def _take_in(
    store: RunStore, method: str, layout_set: LayoutSet, found: FoundImages, named: Mapping[Path, str]
) -> None:
    """Copy what is not yet whole into the run folder, each picture as a group of one. named: where a file is from."""
    whole, by_index = store.complete_samples(), {entry.index: entry for entry in layout_set.entries}
    for (k, seed), path in Progress(sorted(found.paths.items()), "take in", unit="image"):
        if (method, k, seed) not in whole:
            record_group(store, _taken_in(Group(method, seed, layout_set.hash, (by_index[k],)), path, named[path]))


def _taken_in(group: Group, path: Path, name: str) -> GroupResult:
    """The picture of a group of one."""
    image, error = None, None
    try:
        image = read_image(path, FORMATS)
    except InputError as unreadable:
        error = str(InputError(unreadable.what, file=name))
    return GroupResult(group, [SampleResult(group.entries[0], image, error, 1, 1, None, {})], [])
