"""Every composition of the registry, tuned with as many trials, and compared at equal evaluations a picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from amdm.errors import InputError, unknown
from amdm.io.files import make_folder, write_atomic
from amdm.presets.profile import Profile, load_profile
from bench.layouts.layout_set import LayoutSet
from bench.report.compositions import Study, write_compositions
from bench.report.joint import Compared
from bench.report.kid import kid_of_features
from bench.report.text import Written
from bench.studies import tuning_combined
from bench.studies.composition_space import SPACES, bounds, candidates, group_of
from bench.studies.settings import (
    Method,
    as_preset,
    check_apart,
    check_judged,
    check_models,
    every_step,
    plain_aggregation,
    presets_file,
    setting_text,
    with_models,
)
from bench.studies.trials import StudyRun, averages, run_trials, table_info, with_ceiling

TUNING_SET = tuning_combined.TUNING_SET
LAYOUTS = "mini-combined"
MODELS = ("interactdiffusion", "migc", "ip-adapter")
SINGLE, CONTROL, PUBLISHED = "single model", "control", "as published"
"""Kinds of rows beside the tuned compositions, whose kind is their semantics."""
EQUAL, CONVERSE, ITSELF = "equal evaluations", "converse", "the target with itself"
REFERENCE = "official"
"""What the other compositions of a group are compared with."""
PRESETS_OF = ("", "@paper", "@rebuttal", "@rebuttal-latent")
"""What names of published settings end in, after those of the models."""


@dataclass(frozen=True)
class Options:
    """models: of every composition, the target first. steps: T. trials: settings of each row. seed: of their choice.
    only: groups of evaluations, see :func:`bench.studies.composition_space.bounds`; empty for all."""

    models: tuple[str, ...] = MODELS
    steps: int = 20
    trials: int = 6
    seed: int = 0
    only: tuple[str, ...] = ()

    @property
    def groups(self) -> list[str]:
        """In the order of their evaluations.

        Raises:
            InputError: ``only`` names another.
        """
        known = bounds(self.steps)
        if strange := [name for name in self.only if name not in known]:
            raise unknown("group", strange[0], known, field="groups")
        return [name for name in known if not self.only or name in self.only]


@dataclass
class Row:
    """A row of the table. group: of its evaluations; rows of one group and kind are compared. tried: its candidates."""

    kind: str
    group: str
    tried: list[Method] = field(default_factory=list)
    chosen: Method = field(default_factory=dict)


def compare_compositions(tuning: StudyRun, reporting: StudyRun, options: Options, folder: Path) -> Written:
    """Choose settings on one layout set, report on the other, once; write tables to ``folder``.

    Raises:
        InputError: models that the profile does not have or nothing is tried of alone, groups that there are not, fewer
            settings than trials, a layout in both sets, or words that the judge cannot read.
    """
    presets = load_profile(tuning.profile)
    _check_models(presets, options.models)
    check_apart(tuning.layout_set, reporting.layout_set, "the layouts that settings are chosen on", "layouts")
    for run in (tuning, reporting):
        check_judged(run.layout_set)
    rows = tuned_rows(presets, tuning.layout_set, options)
    trials = choose(presets, tuning, rows)
    rows |= controls(presets, reporting.layout_set, rows, options)
    settings = {name: as_preset(presets, row.chosen) for name, row in rows.items()}
    reporting = replace(reporting, features=True)
    tables = run_trials(reporting, with_ceiling(settings, reporting.layout_set), "report")
    study = Study(
        groups={name: row.group for name, row in rows.items()},
        bounds=bounds(options.steps),
        chosen={name: setting_text(row.chosen) for name, row in rows.items()},
        settings={name: one.describe() for name, one in settings.items()},
        compared=comparisons(rows),
        trials=trials,
        kid=kid_of_features(tables.features, reporting.layout_set),
        tuned_on=f"{len(tuning.layout_set)} layouts of `{tuning.layout_set.name}`, {options.trials} trials a row",
    )
    info = table_info(reporting, list(settings), "Compositions at equal evaluations")
    make_folder(folder)
    about = f"Chosen on {study.tuned_on}; written by `{info.command}`."
    write_atomic(folder / "chosen.yaml", presets_file({n: row.chosen for n, row in rows.items()}, about).encode())
    return write_compositions(folder, tables, study, info)


def _check_models(presets: Profile, models: tuple[str, ...]) -> None:
    check_models(presets, models)
    tried = tuning_combined.OF_MODELS
    if strange := [name for name in models if name not in tried]:
        what = f"no settings are listed to try of {strange[0]} alone, only of {', '.join(tried)}"
        raise InputError(what, field="models")
    if len(models) < 2:
        raise InputError("names fewer than two models", field="models")
    if len(set(models)) < len(models):  # the control of a target with itself is in every group
        raise InputError("names a model twice", field="models")


def tuned_rows(presets: Profile, layout_set: LayoutSet, options: Options) -> dict[str, Row]:
    """Single models, and every composition in each group that it can reach, with ``options.trials`` candidates each."""
    rows = {}
    for model in options.models:
        found = tuning_combined.candidates(presets, (model,), layout_set, options.trials, options.seed)
        tried = [{**one, "settings": {**every_step(options.steps), **one.get("settings", {})}} for one in found]
        rows[model] = Row(SINGLE, group_of(options.steps, options.steps), tried)
    for group in options.groups:
        for semantics in SPACES:
            own = (options.models, layout_set, options.steps, group, options.trials, options.seed)
            if tried := candidates(presets, semantics, *own):
                rows[f"{semantics}, {group}"] = Row(semantics, group, tried)
    return rows


def choose(presets: Profile, tuning: StudyRun, rows: dict[str, Row]) -> pd.DataFrame:
    """Measure every candidate, and set the best of each row; returns all of them as
    :func:`bench.studies.tuning_combined.best_first`."""
    tried = {f"{name} #{k}": (name, one) for name, row in rows.items() for k, one in enumerate(row.tried)}
    settings = {key: as_preset(presets, one) for key, (_, one) in tried.items()}
    found = averages(run_trials(tuning, {**settings}, "tune"), list(tried))
    columns = ["failed", *tuning_combined.preferred(found), "evaluations", "seconds"]
    table, best = tuning_combined.best_first(tried, found[columns])
    for name, method in best.items():
        rows[name].chosen = method
    return table


def controls(presets: Profile, layout_set: LayoutSet, rows: dict[str, Row], options: Options) -> dict[str, Row]:
    """Rows that are not chosen by trials: the target with as many more steps of its own, and with itself; the converse
    order of models; the published settings."""
    target, steps, found = options.models[0], options.steps, {}
    for group in options.groups:
        most = bounds(steps)[group]  # of the last, what all models cost in all steps
        more = int(most) if most < float("inf") else len(options.models) * steps
        alone = rows[target].chosen
        own = {**alone, "settings": {**alone.get("settings", {}), **every_step(more)}}
        if group_of(more, steps) == group:  # two models cost 2 T at most, and at T = 8 the first two groups are one
            found[f"{target}, {more} steps"] = Row(CONTROL, group, chosen=own)
        if (row := rows.get(f"{REFERENCE}, {group}")) is None:
            continue
        for name, models in ((ITSELF, (target,) * len(options.models)), (CONVERSE, options.models[::-1])):
            changed = {**row.chosen, **with_models(models, layout_set)}
            changed["settings"] = {k: v for k, v in changed["settings"].items() if k in models}
            found[f"{name}, {group}"] = Row(name, group, chosen=changed)
    return found | _published(presets, layout_set, options)


def _published(presets: Profile, layout_set: LayoutSet, options: Options) -> dict[str, Row]:
    """The profile's presets of these models, where there are any: as the authors' code has it, the paper, and the
    authors' later runs."""
    found = {}
    for end in PRESETS_OF:
        if (preset := "+".join(options.models) + end) in presets.methods:
            aggregation = plain_aggregation(presets.method(preset))
            own = {"settings": every_step(options.steps), "aggregation": aggregation}
            method = {**with_models(options.models, layout_set), **own}
            try:
                cost = sum(as_preset(presets, method).composition.evaluations(len(options.models), options.steps))
            except InputError:  # its window is longer than so few steps
                continue
            if (group := group_of(cost, options.steps)) in options.groups:
                found[f"{preset} {PUBLISHED}"] = Row(PUBLISHED, group, chosen=method)
    return found


def comparisons(rows: dict[str, Row]) -> list[Compared]:
    """What shares a group with :data:`REFERENCE`, less this."""
    pairs = [(name, row, f"{REFERENCE}, {row.group}") for name, row in rows.items()]
    compared = [(name, other) for name, row, other in pairs if other in rows and row.kind not in (SINGLE, REFERENCE)]
    return [(EQUAL, pair) for pair in compared]
