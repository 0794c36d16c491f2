"""Whether a run folder holds what its run.json says: provenance, records, pictures and digests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from amdm.profiles import hashed_weights
from bench.cocomig.action_style import action_outcome
from bench.cocomig.verdict import COLOUR_SHARE, IOU_THRESHOLD, Verdict
from bench.detectors import registry
from bench.detectors.detector import RANDOM_REVISION, DetectorFacts, DetectorOptions
from bench.job.conditions import style_digests
from bench.job.plan import Plan
from bench.job.settings import RunSettings
from bench.judges import conditions
from bench.layouts.layout_set import AskedAction, LayoutSet
from bench.run.images import picture_is, stored_file
from bench.run.info import FILE, RunInfo
from bench.run.inventory import Inventory
from bench.run.read import read_tables
from bench.run.schema import FULL_SIZE_OF, VERDICT_COLUMNS, VERDICT_TABLES, verdict_row

_DESCRIBING = ("label", "colour", "category", "level", "box_area")
_NOTHING = Verdict(False, 0.0, False, False, 0.0, None, None)


def verify_run(folder: Path) -> list[str]:
    """What is wrong, one line each; an empty list where all is whole. Reads only.

    Raises:
        InputError: run.json or the database cannot be read at all.
    """
    info = RunInfo.read(folder)
    names = ("samples", *VERDICT_TABLES, *FULL_SIZE_OF.values())
    tables = dict(zip(names, read_tables(folder, *names), strict=True))  # of one state: the run may be at work
    samples, verdicts = tables["samples"], {name: tables[name] for name in VERDICT_TABLES}
    plan = Plan.resolve(info.job)
    layout_set, there = plan.layout_set, Inventory.of_tables(plan.samples, samples, *verdicts.values())
    problems = _provenance(info)
    if layout_set.hash != info.settings.layout_hash:
        problems.append(f"layouts: {layout_set.name} is not the set that was run (hash {layout_set.hash[:12]})")
    found = [
        *problems,
        *_settings(info.settings),
        *_weights(info.settings),
        *_records(there),
        *_pictures(folder, samples),
        *_verdicts(there),
        *_contents(layout_set, verdicts["verdicts"]),
        *_conditions(layout_set, tables),
        *_styles(layout_set, info.settings),
    ]
    return [str(InputError(problem)) for problem in found]  # names in records may hold terminal escapes


def _provenance(info: RunInfo) -> list[str]:
    """What run.json does not say, though the run cannot be repeated without it."""
    environment, progress = info.settings.environment, info.progress
    said = {
        "python": environment.python,
        "packages": environment.packages,
        "sources": environment.sources,
        "machine": info.provenance and info.provenance.machine,
        "started": progress.started,
        "finished": progress.finished or info.status != "complete",
        "workers": progress.workers,
    }
    found = [f"{FILE}: does not say {name}" for name, value in said.items() if not value]
    if progress.forced:
        found.append(f"{FILE}: the run went on under other settings (--force); see its field progress.forced")
    return found


def _settings(settings: RunSettings) -> list[str]:
    """What run.json says twice and differently, by the presets and detectors of this version."""
    now = {"method_settings": settings.job.method_settings(), "thresholds": _thresholds(settings)}
    then = {"method_settings": settings.method_settings, "thresholds": settings.judge.thresholds}
    return [f"{FILE}: {field} are not those of this version" for field in now if now[field] != then[field]]


def _thresholds(settings: RunSettings) -> dict[str, float] | None:
    try:
        return registry.detector_spec(registry.detector_for_label(settings.judge.name)).thresholds
    except InputError:
        return None


def _weights(settings: RunSettings) -> list[str]:
    """Every weight file is hashed, whatever was recorded of it since."""
    if settings.job.generator is not None:
        return _detector(settings.judge)  # external generators are known by their recorded digest alone
    now, then = hashed_weights(settings.job.profile), settings.weights
    names = [name for name in sorted(then) if now.get(name) != then[name]]
    return [*_detector(settings.judge), *(f"weights: {name} is not the file that was used" for name in names)]


def _detector(facts: DetectorFacts) -> list[str]:
    if facts.revision == RANDOM_REVISION:
        return ["detector: has random weights: the verdicts measure nothing"]
    try:
        now = registry.detector_revision(DetectorOptions(registry.detector_for_label(facts.name)), rehash=True)
    except (InputError, OSError) as error:
        return [f"weights: the detector's cannot be checked: {error}"]
    return [] if now == facts.revision else ["weights: the detector's are not those that were used"]


def _records(there: Inventory) -> list[str]:
    """Samples that were asked for and are not there, or the other way round."""
    return [
        *_counted("samples without a record", there.missing),
        *_counted("records of samples that were not asked for", there.unasked),
        *([f"{len(there.failed)} samples failed"] if there.failed else []),
    ]


def _pictures(folder: Path, samples: pd.DataFrame) -> list[str]:
    problems, known = [], set()
    for row in samples[samples["status"] == "ok"].to_dict("records"):
        path = stored_file(folder, str(row["image"]))
        known.add(path)
        if path is None or not path.is_file():
            problems.append(f"{row['image']}: is absent")
        elif not picture_is(folder, row["image"], row["sha256"]):
            problems.append(f"{row['image']}: is not the picture that was recorded")
    stray = {path.resolve() for path in (folder / "images").rglob("*") if path.is_file()} - known
    return problems + _counted("files under images/ that no record names", stray)


def _verdicts(there: Inventory) -> list[str]:
    return [
        *_counted("samples without verdicts", there.complete - set(there.verdicts)),
        *_counted("verdicts on samples that are not there", there.orphans),
        *_counted("samples with too few or too many verdicts", there.miscounted),
    ]


def _contents(layout_set: LayoutSet, verdicts: pd.DataFrame) -> list[str]:
    """Verdicts that do not say what their layout says, or that no measurement can give."""
    asked = {
        (entry.index, k): dict(zip(VERDICT_COLUMNS, verdict_row("", 0, entry, k, _NOTHING), strict=True))
        for entry in layout_set.entries
        for k in range(entry.level)
    }
    strange, impossible = [], []
    for row in verdicts.to_dict("records"):
        name = (row["method"], row["layout_index"], row["seed"], row["instance"])
        expected = asked.get((row["layout_index"], row["instance"]))
        if expected is None or any(row[column] != expected[column] for column in _DESCRIBING):
            strange.append(name)
        if not _is_possible(row):
            impossible.append(name)
    return [
        *_counted("verdicts that do not say what their layout says", strange),
        *_counted("verdicts that no measurement gives", impossible),
    ]


def _is_possible(row: Mapping[Any, Any]) -> bool:
    """Whether a measurement can give this verdict: masks and colours are of instances in their place that have one."""
    place, masked = row["iou"] >= IOU_THRESHOLD, pd.notna(row["mask_px"]) and pd.notna(row["hit_px"])
    right = place and not row["colour"]  # by its place alone
    if masked:
        right = row["mask_px"] > 0 and row["hit_px"] / row["mask_px"] >= COLOUR_SHARE
    return bool(
        row["success"] == place
        and masked == (place and row["colour"] != "")
        and row["attr"] == right
        and row["detected"] >= (row["iou"] > 0)
        and row["miou"] == (row["iou"] if right or not place else 0)
    )


def _conditions(layout_set: LayoutSet, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Faults of the verdicts on interactions and styles, those of judges of full size among them."""
    entries = layout_set.entries
    actions = {(one.index, k): asked for one in entries for k, asked in enumerate(one.actions)}
    styles = {one.index: one.style_name for one in entries if one.asks_style}
    pairs = {(one.index, k): asked for one in entries for k, asked in enumerate(one.pairs)}
    files = {one.index: one.style_name or one.style.stem for one in entries if one.style is not None}
    later, retrieved = (tables[FULL_SIZE_OF[of]] for of in ("action", "style"))
    return [
        *_condition_contents(tables["interactions"], tables["styles"], actions, styles),
        *_condition_contents(later, retrieved, pairs, files),
    ]


def _condition_contents(
    interactions: pd.DataFrame,
    styles: pd.DataFrame,
    actions: Mapping[tuple[int, int], AskedAction],
    styled: Mapping[int, str],
) -> list[str]:
    """Verdicts on interactions and styles that were not asked for, or that no measurement can give."""
    asked = {place: (one.subject, one.object, one.action) for place, one in actions.items()}
    strange, impossible = [], []
    for row in interactions.to_dict("records"):
        name = (row["method"], row["layout_index"], row["seed"], row["interaction"])
        if asked.get((row["layout_index"], row["interaction"])) != (row["subject"], row["object"], row["asked"]):
            strange.append(name)
        found = None if pd.isna(row["found"]) else row["found"]
        possible = {action_outcome(row["asked"], found, reversed) for reversed in (False, True)}
        if row["outcome"] not in possible:
            impossible.append(name)
    for row in styles.to_dict("records"):
        name = (row["method"], row["layout_index"], row["seed"], "style")
        if styled.get(row["layout_index"]) != row["asked"]:
            strange.append(name)
        if row["success"] != (row["asked"] == row["found"]):
            impossible.append(name)
    return [
        *_counted("verdicts on interactions or styles that do not say what their layout says", strange),
        *_counted("verdicts on interactions or styles that no measurement gives", impossible),
    ]


def _styles(layout_set: LayoutSet, settings: RunSettings) -> list[str]:
    """Style pictures, and judges of what else is asked for, that are not those that the run was made with."""
    now = style_digests(layout_set)
    changed = [key for key in now if settings.styles.get(key) != now[key]]
    judges = conditions.judge_revisions() if layout_set.asks_conditions else {}
    other = [name for name in judges if settings.condition_judges.get(name) != judges[name]]
    return [
        *_counted("layouts whose style picture is not the one that was used", changed),
        *(f"weights: judge of the {name} is not the file that was used" for name in other),
    ]


def _counted(what: str, found: Collection[object]) -> list[str]:
    if not found:
        return []
    shown = ", ".join(sorted(map(str, found))[:3])
    return [f"{len(found)} {what}: {shown}{', …' if len(found) > 3 else ''}"]
