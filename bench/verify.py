"""Whether a run folder holds what its run.json says: provenance, records, pictures and digests."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from amdm.loading import hashed_weights
from bench.detection import registry
from bench.job import Job, RunFacts, read_run
from bench.judge import COLOUR_SHARE, IOU_THRESHOLD, Verdict
from bench.layouts.layout_set import LayoutSet
from bench.scoring import verdict_row
from bench.store import VERDICT_COLUMNS, picture_is, read_run_info, read_table, stored_file

PROVENANCE = (
    *("python", "packages", "git", "sources", "device", "device_name", "driver", "machine", "dtype"),
    *("profile", "method_settings", "layouts", "layout_hash", "weights", "judge", "seeds", "batch"),
    *("started", "finished", "status", "command", "workers"),
)
"""What run.json must say of a run so that it can be repeated."""


_DESCRIBING = ("label", "colour", "category", "level", "box_area")
_NOTHING = Verdict(False, 0.0, False, False, 0.0, None, None)


def verify_run(folder: Path) -> list[str]:
    """What is wrong, one line each; an empty list where all is whole. Reads only.

    Raises:
        InputError: run.json or the database cannot be read at all.
    """
    job, facts = read_run(folder)
    samples, verdicts = read_table(folder, "samples"), read_table(folder, "verdicts")
    layout_set = job.layout_set()
    problems = _provenance(read_run_info(folder))
    if layout_set.hash != facts.layout_hash:
        problems.append(f"layouts: {layout_set.name} is not the set that was run (hash {layout_set.hash[:12]})")
    found = [
        *problems,
        *_settings(job, read_run_info(folder)),
        *_weights(job, facts),
        *_records(job, layout_set, samples),
        *_pictures(folder, samples),
        *_verdicts(layout_set, samples, verdicts),
        *_contents(layout_set, verdicts),
    ]
    return [str(InputError(problem)) for problem in found]  # names in records may hold terminal escapes


def _provenance(info: dict[str, Any]) -> list[str]:
    """What run.json does not say."""
    missing = [field for field in PROVENANCE if field not in info]
    empty = [
        field for field in ("python", "packages", "sources", "machine", "started", "command") if not info.get(field)
    ]
    found = [f"run.json: does not say {field}" for field in dict.fromkeys(missing + empty)]
    if info.get("status") == "complete" and not info.get("finished"):
        found.append("run.json: complete, without the time of its end")
    if info.get("forced"):
        found.append("run.json: the run went on under other settings (--force); see its field forced")
    return found


def _settings(job: Job, info: dict[str, Any]) -> list[str]:
    """What run.json says twice and differently, by the presets and detectors of this version."""
    now = {"method_settings": job.method_settings(), "thresholds": _thresholds(info)}
    then = {"method_settings": info.get("method_settings"), "thresholds": info["judge"].get("thresholds")}
    return [f"run.json: {field} are not those of this version" for field in now if now[field] != then[field]]


def _thresholds(info: dict[str, Any]) -> Any:
    try:
        return registry.detector_thresholds(registry.name_of(info["judge"]["name"]))
    except InputError:
        return None


def _weights(job: Job, facts: RunFacts) -> list[str]:
    """Every weight file is hashed, whatever was recorded of it since."""
    if job.generator is not None:
        return _judge(facts)  # what is not ours is named by a digest that run.json alone knows
    now, then = hashed_weights(job.profile), facts.weights
    names = [name for name in sorted(then) if now.get(name) != then[name]]
    return [*_judge(facts), *(f"weights: {name} is not the file that was used" for name in names)]


def _judge(facts: RunFacts) -> list[str]:
    if facts.judge.revision == registry.RANDOM_REVISION:
        return ["judge: has random weights: the verdicts measure nothing"]
    try:
        name = registry.name_of(facts.judge.name)
        now = registry.detector_revision(registry.DetectorOptions(name), rehash=True)
    except (InputError, OSError) as error:
        return [f"weights: judge cannot be checked: {error}"]
    return [] if now == facts.judge.revision else ["weights: judge is not the file that was used"]


def _records(job: Job, layout_set: LayoutSet, samples: pd.DataFrame) -> list[str]:
    """Samples that were asked for and are not there, or the other way round."""
    wanted = {(group.method, entry.index, group.seed) for group in job.work(layout_set) for entry in group.entries}
    there = set(samples[["method", "layout_index", "seed"]].itertuples(index=False, name=None))
    failed = int((samples["status"] != "ok").sum())
    return [
        *_counted("samples without a record", wanted - there),
        *_counted("records of samples that were not asked for", there - wanted),
        *([f"{failed} samples failed"] if failed else []),
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


def _verdicts(layout_set: LayoutSet, samples: pd.DataFrame, verdicts: pd.DataFrame) -> list[str]:
    key = ["method", "layout_index", "seed"]
    level = {entry.index: entry.level for entry in layout_set.entries}
    done = samples[samples["status"] == "ok"][key].itertuples(index=False, name=None)
    counts = verdicts.groupby(key).size().to_dict()
    expected = {one: level.get(one[1], 0) for one in done}
    return [
        *_counted("samples without verdicts", set(expected) - set(counts)),
        *_counted("verdicts on samples that are not there", set(counts) - set(expected)),
        *_counted(
            "samples with too few or too many verdicts",
            {one for one, count in counts.items() if one in expected and expected[one] != count},
        ),
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
        masked, place = pd.notna(row["mask_px"]) and pd.notna(row["hit_px"]), row["iou"] >= IOU_THRESHOLD
        colour = masked and row["mask_px"] > 0 and row["hit_px"] / row["mask_px"] >= COLOUR_SHARE
        consistent = (
            row["success"] == place
            and masked == place
            and row["attr"] == colour
            and row["detected"] >= (row["iou"] > 0)
            and row["miou"] == (row["iou"] if colour or not place else 0)
        )
        if not consistent:
            impossible.append(name)
    return [
        *_counted("verdicts that do not say what their layout says", strange),
        *_counted("verdicts that no measurement gives", impossible),
    ]


def _counted(what: str, found: Collection[object]) -> list[str]:
    if not found:
        return []
    shown = ", ".join(sorted(map(str, found))[:3])
    return [f"{len(found)} {what}: {shown}{', …' if len(found) > 3 else ''}"]
