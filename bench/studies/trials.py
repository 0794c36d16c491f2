"""Settings tried on layouts in memory: no pictures are kept, but verdicts, costs and distances to the means."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amdm.errors import InputError
from amdm.io.files import make_folder, read_json, write_atomic
from amdm.loading import load_models
from amdm.methods import Method
from amdm.model_set import LoadOptions, ModelSet
from amdm.presets.settings import MethodSettings
from amdm.profiles import unshipped_weights, weight_digests
from amdm.progress import Progress
from bench.detectors.detector import Detector
from bench.detectors.load import make_detector
from bench.detectors.registry import detector_facts
from bench.generators.pull_back import with_pull_back
from bench.generators.renderer import true_renderings
from bench.job.batches import CEILING, Group, groups
from bench.job.conditions import conditions_of, judged_conditions, style_digests, true_conditions_of
from bench.job.seeds import check_seeds
from bench.judges.conditions import judge_revisions, load_judges
from bench.judges.picture_features import mini_features
from bench.layouts.layout_set import LayoutSet
from bench.provenance import environment, provenance, sources_digest
from bench.report.joint import calls_of
from bench.report.kid import as_texts
from bench.report.tables import TableInfo
from bench.report.trial_tables import FEATURES, TABLES, Tables
from bench.run.schema import verdict_row
from bench.stages.verdicts import Picture, condition_rows, judge_images
from bench.studies.settings import DETECTOR, check_judged
from bench.workers.processes import run_tasks, worker_count

BATCH = 16
Rows = dict[str, list[tuple[Any, ...]]]
"""By table (:data:`bench.report.trial_tables.TABLES`)."""
MAX_BYTES = 2**24
"""Bytes of a file."""
FORMAT = 2
"""To be raised where :mod:`bench.studies.trials` comes to make other rows, or the text of features is another."""
NO_MATTER = ("bench/report/", "bench/cli/", "bench/studies/")
"""Sources that may change while a study goes on: they choose settings and write tables."""


@dataclass(frozen=True)
class StudyRun:
    """Where settings are tried.

    workers: processes. seeds: each is a run of all layouts. keep: a folder in which what is measured is kept, batch by
    batch, so that the same study goes on where it was stopped; None keeps nothing. features: of every picture too, of
    which its KID is (:mod:`bench.report.kid`).

    Raises:
        InputError: repeated seeds, or not 1 or more processes.
    """

    layout_set: LayoutSet
    workers: int = 1
    seeds: tuple[int, ...] = (0,)
    keep: Path | None = None
    profile: str = "mini"
    features: bool = False

    @property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """What is measured: columns by table."""
        return {**TABLES, **({"features": FEATURES} if self.features else {})}

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        worker_count(self.workers)


@dataclass(frozen=True)
class Trial:
    """One setting on some layouts. settings: None stands for true renderings."""

    group: Group
    settings: MethodSettings | None


class TrialWorker:
    """Loads models and judges once, then runs trials."""

    def __init__(self, profile: str, features: bool = False) -> None:
        self.models, self.judge = _loaded(profile)
        self.features = mini_features() if features else None
        self.judges = cache(load_judges)

    def __call__(self, trial: Trial) -> tuple[Group, Rows]:
        group, started = trial.group, time.perf_counter()
        made = self._draw(trial)
        seconds = (time.perf_counter() - started) / len(group.entries)
        right = [k for k, finite in enumerate(made.finite) if finite]
        images = [made.images[k] for k in right]
        pictures = [Picture(group.method, group.seed, group.entries[k], Path()) for k in right]
        judged = judge_images(self.judge, images, pictures) if images else []
        rows: Rows = {
            "verdicts": [
                verdict_row(one.method, one.seed, one.entry, k, instance.verdict)
                for one, own in zip(pictures, judged, strict=True)
                for k, instance in enumerate(own)
            ],
            **condition_rows(self.judges, images, pictures),
            "samples": [_sample(group, made, k, seconds) for k in range(len(group.entries))],
        }
        if self.features is not None:
            texts = as_texts(self.features(images)) if images else []
            rows["features"] = [
                (one.method, one.entry.index, one.seed, text) for one, text in zip(pictures, texts, strict=True)
            ]
        return group, rows

    def _draw(self, trial: Trial) -> Any:
        group = trial.group
        layouts = [entry.layout for entry in group.entries]
        if trial.settings is None:
            return true_renderings(layouts, group.keys(), **true_conditions_of(group.entries))
        method = Method(group.method, trial.settings, self.models)
        return with_pull_back(method, layouts, group.keys(), **conditions_of(group.entries))


@lru_cache(maxsize=1)
def _loaded(profile: str) -> tuple[ModelSet, Detector]:
    """Kept for the next study of a process: a search asks for trials again and again."""
    return load_models(profile, (), LoadOptions()), make_detector()


def _sample(group: Group, made: Any, k: int, seconds: float) -> tuple[Any, ...]:
    status = "ok" if made.finite[k] else "failed"
    means, steps = (getattr(made, name, None) for name in ("pull_back", "pull_back_steps"))
    pulled = [json.dumps(one[k]) if one and one[k] and made.finite[k] else None for one in (means, steps)]
    about = group.method, group.entries[k].index, group.seed
    return (*about, status, seconds, json.dumps(made.evaluations), *pulled)


def run_trials(study: StudyRun, settings: Mapping[str, MethodSettings | None], about: str) -> Tables:
    """Draw and judge every layout under each of the settings, by name; equal settings are drawn once.

    Pictures that are not finite have no verdicts; their samples are "failed".

    Args:
        settings: None stands for true renderings. about: what the progress bar says.

    Raises:
        InputError: the layouts have words that the judge cannot read.
    """
    check_judged(study.layout_set)
    names: dict[str, list[str]] = {}
    for name, one in settings.items():
        names.setdefault(identity(one), []).append(name)
    chosen = {digest: settings[own[0]] for digest, own in names.items()}
    widths = {name: len(columns) for name, columns in study.tables.items()}
    kept = Kept(study.keep, study.profile, study.layout_set, widths)
    work = groups(study.layout_set, list(chosen), study.seeds, BATCH)
    found = {_place(group): rows for group in work if (rows := kept.find(group)) is not None}
    todo = [Trial(group, chosen[group.method]) for group in work if _place(group) not in found]
    total = sum(len(group.entries) for group in work)
    done = total - sum(len(trial.group.entries) for trial in todo)
    with (
        Progress(total=total, initial=done, desc=about, unit="image", disable=not todo) as progress,
        closing(run_tasks(TrialWorker, (study.profile, study.features), todo, study.workers)) as results,
    ):
        for group, rows in results:
            kept.add(group, rows)
            found[_place(group)] = rows
            progress.update(len(group.entries))
    parts = [found[_place(group)] for group in work]
    return _tables(study.tables, parts, names, judged_conditions(study.layout_set.entries))


def _place(group: Group) -> tuple[str, int, int]:
    """Which of the batches it is."""
    return group.samples()[0]


def _tables(
    tables: Mapping[str, tuple[str, ...]], parts: list[Rows], names: Mapping[str, list[str]], asked: pd.DataFrame
) -> Tables:
    """With every setting's rows under each of its names."""
    whole = {}
    for table, columns in tables.items():
        rows = [(name, *row[1:]) for part in parts for row in part[table] for name in names[row[0]]]
        whole[table] = pd.DataFrame(rows, columns=list(columns))
    return Tables(**whole, asked=asked)


def measure(study: StudyRun, settings: Mapping[str, MethodSettings], about: str) -> pd.DataFrame:
    """Metrics over all levels of each setting, by name (the index): see :func:`bench.cocomig.metrics.metric_table`.

    Raises:
        InputError: a setting under which latents are not finite.
    """
    tables = run_trials(study, settings, about)
    if len(failed := tables.samples[tables.samples.status == "failed"]):
        raise InputError("NaN or infinity in the latents", field=str(failed.method.iloc[0]))
    return averages(tables, list(settings))


def averages(tables: Tables, names: list[str]) -> pd.DataFrame:
    """Metrics over all levels, evaluations and seconds a picture, and failed samples, by name (the index).

    A setting without a single picture has no metrics (NaN).
    """
    done = tables.samples.assign(evaluations=calls_of(tables.samples))
    by_name = done.groupby("method")
    costs = by_name[["evaluations", "seconds"]].mean()
    costs["failed"] = by_name.status.agg(lambda status: int((status == "failed").sum()))
    return costs.join(tables.over_levels).reindex(names).replace({None: np.nan})


def with_ceiling(settings: Mapping[str, MethodSettings], layout_set: LayoutSet) -> dict[str, MethodSettings | None]:
    """The settings, and true renderings where the mini world can draw what is asked for."""
    return {**settings, **({CEILING: None} if layout_set.renderable else {})}


def table_info(study: StudyRun, methods: list[str], title: str) -> TableInfo:
    """What tables say of a study."""
    layout_set = study.layout_set
    judges = sorted(judge_revisions().items()) if layout_set.asks_conditions else []
    return TableInfo.of(
        layout_set,
        title=title,
        judge=", ".join([str(detector_facts(DETECTOR)), *(f"{of} judge {digest[:12]}" for of, digest in judges)]),
        methods=tuple(methods),
        seeds=study.seeds,
        command=provenance().command,
        notes=(*layout_set.judging_notes, *unshipped_weights(study.profile, weight_digests(study.profile))),
    )


def identity(settings: MethodSettings | None) -> str:
    """The same for equal settings; :data:`CEILING` for none."""
    return CEILING if settings is None else _digest(settings.describe())


class Kept:
    """One file a batch; settings, layouts, style pictures, seed, weights, judges and versions decide its name.

    What was made under others is not found, and measured again.

    Args:
        folder: None keeps and finds nothing. widths: of the rows of each table; what has other tables is not found.
    """

    def __init__(self, folder: Path | None, profile: str, layout_set: LayoutSet, widths: dict[str, int]) -> None:
        self.folder, self.widths = folder, widths
        self.facts = "" if folder is None else _facts(profile)
        if more := sorted(widths.keys() - TABLES.keys()):
            self.facts = f"{self.facts}, {', '.join(more)}"
        self.styles = style_digests(layout_set) if folder is not None else {}

    def find(self, group: Group) -> Rows | None:
        """The rows of a batch. Raises InputError for a file that was not written here."""
        if self.folder is None or not (path := self._path(group)).exists():
            return None
        content = read_json(path, MAX_BYTES)
        if not isinstance(content, dict) or content.keys() != self.widths.keys():
            raise InputError("is not what a study keeps; delete it", file=path)
        for name, rows in content.items():
            whole = isinstance(rows, list) and all(isinstance(row, list) for row in rows)
            if not whole or any(len(row) != self.widths[name] or row[0] != group.method for row in rows):
                raise InputError("is not what a study keeps; delete it", file=path, field=name)
        return {name: [tuple(row) for row in rows] for name, rows in content.items()}

    def add(self, group: Group, rows: Rows) -> None:
        """Keep the rows of a batch."""
        if self.folder is not None:
            path = self._path(group)
            make_folder(path.parent)
            own = path.with_name(f"{path.name}.{os.getpid()}")  # another command may keep the same batch at this moment
            write_atomic(own, json.dumps(rows, default=lambda number: number.item()).encode())
            own.replace(path)

    def _path(self, group: Group) -> Path:
        assert self.folder is not None
        indices = [entry.index for entry in group.entries]
        styles = [self.styles.get(entry.key) for entry in group.entries]
        name = _digest([group.set_hash, indices, styles, group.seed, self.facts])
        return self.folder / group.method / f"{name}.json"


def _facts(profile: str) -> str:
    """Of all that decides results beside settings and layouts."""
    judge = detector_facts(DETECTOR).model_dump(mode="json")
    versions = {**environment().model_dump(mode="json"), "sources": sources_digest(NO_MATTER)}
    return _digest([FORMAT, versions, weight_digests(profile), judge, judge_revisions()])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
