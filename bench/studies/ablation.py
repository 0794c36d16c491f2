"""What of the aggregation acts: the paper and the authors' code, one difference at a time and all; η, s and w."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amdm.errors import InputError
from amdm.io.files import make_folder
from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings
from bench.cocomig.strata import AUXILIARY, by_auxiliary, gain_by_stratum, instance_units, interaction_units
from bench.job.conditions import asked_of
from bench.layouts.layout_set import LayoutSet
from bench.layouts.statistics import largest_overlaps
from bench.report.ablation import ALONE, DIFFERENCES, Arm, write_ablation
from bench.report.joint import SHOWN
from bench.report.text import Written, as_markdown, as_page, in_per_cent
from bench.report.trial_tables import Tables
from bench.studies.settings import as_preset, check_models, every_step, plain_aggregation, with_models
from bench.studies.trials import StudyRun, measure, run_trials, table_info, with_ceiling

PAIR = ("interactdiffusion", "migc")
THREE = ("interactdiffusion", "migc", "ip-adapter")
LETTER, AUTHORS = "the paper's letter", "the authors' code"
BASES = {LETTER: "@paper", AUTHORS: ""}
"""Name → what its preset's name ends in."""
FROM_LETTER: dict[str, dict[str, Any]] = {
    "": {},
    ", separate noise": {"initial_noise": "separate"},
    ", window from step 1": {"first_step": 1},
    ", window from step 1 and their mean": {"first_step": 1, "mean": "ddpm_previous"},
}
"""Their mean is of the step before, which step 0 does not have: it comes with their window."""
FROM_AUTHORS: dict[str, dict[str, Any]] = {
    "": {},
    ", shared noise": {"initial_noise": "shared"},
    ", DDIM mean": {"mean": "ddim"},
    ", window from step 0 and DDIM mean": {"first_step": 0, "mean": "ddim"},
}
OF_THREE: dict[str, dict[str, dict[str, Any]]] = {
    LETTER: {"": {}, ", their coefficients": {"coefficients": "official"}},
    AUTHORS: {"": {}, ", nested coefficients": {"coefficients": "nested"}},
}
"""Coefficients of two models are the same."""
ETAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
WEIGHTS = (0.0, 0.25, 0.5, 0.7071, 0.85, 1.0)


@dataclass(frozen=True)
class Options:
    """steps: the T that everything is measured at. etas: over √dim, of all models alike. weights: w."""

    steps: tuple[int, ...] = (10, 20, 50)
    etas: tuple[float, ...] = ETAS
    weights: tuple[float, ...] = WEIGHTS

    def check(self) -> None:
        """Raise InputError for a T that leaves no window from step 1, and for numbers that arms would have alike in
        their names."""
        if min(self.steps) < 2:
            raise InputError(f"{min(self.steps)} leaves no window from step 1; take 2 or more", field="steps")
        for field, numbers in (("steps", self.steps), ("etas", self.etas), ("weights", self.weights)):
            names = [f"{one:g}" for one in numbers]
            if twice := [one for one in names if names.count(one) > 1]:
                raise InputError(f"has {twice[0]} twice", field=field)


def ablation(study: StudyRun, options: Options, folder: Path) -> Written:
    """Measure every arm at every T, distances, hand-over curves and strata; write ``folder``.

    Raises:
        InputError: η, w or T that no setting can have, or one of them twice.
    """
    options.check()
    presets = load_profile(study.profile)
    arms = [arm for steps in options.steps for arm in arms_at(presets, study.layout_set, steps, options)]
    tables = run_trials(study, with_ceiling({arm.name: arm.settings for arm in arms}, study.layout_set), "ablation")
    target, *auxiliaries = models_of(study.layout_set)
    own_steps = [0, *windows(presets.method(target).steps, 0)]  # of the profile's T
    curves = hand_over(study, target, auxiliaries, own_steps)
    converse = [hand_over(study, auxiliary, (target,), own_steps) for auxiliary in auxiliaries]
    curves = pd.concat([curves, *converse], ignore_index=True)
    strata = pd.concat([strata_at(tables, study.layout_set, steps) for steps in options.steps], ignore_index=True)
    info = table_info(study, [arm.name for arm in arms], "Ablation of the aggregation")
    make_folder(folder)
    return write_ablation(folder, tables, arms, curves, strata, info)


def arms_at(presets: Profile, layout_set: LayoutSet, steps: int, options: Options) -> list[Arm]:
    """The single models, and every arm, at one T."""

    def at_steps(models: Sequence[str], **aggregation: Any) -> MethodSettings:
        return as_preset(presets, {**with_models(models, layout_set), "settings": every_step(steps), **aggregation})

    def arm(section: str, name: str, models: Sequence[str], base: str, changes: dict[str, Any]) -> Arm:
        published = plain_aggregation(presets.method("+".join(models) + BASES[base]))
        window = {"s": min(published["s"], steps - changes.get("first_step", int(base == AUTHORS)))}
        settings = at_steps(models, aggregation={**published, **window, **changes})
        return Arm(f"T {steps}: {name}", steps, section, settings)

    names = models_of(layout_set)
    arms = [Arm(f"T {steps}: {name}", steps, ALONE, at_steps((name,))) for name in names]
    for base, own in ((LETTER, FROM_LETTER), (AUTHORS, FROM_AUTHORS)):
        arms += [arm(DIFFERENCES, base + name, PAIR, base, changes) for name, changes in own.items()]
    for base in BASES:
        for name, changes in OF_THREE[base].items() if names == THREE else ():
            arms.append(arm(DIFFERENCES, f"{base}, three models{name}", THREE, base, changes))
        for eta in options.etas:
            changes = {"eta": [eta] * len(PAIR), "eta_unit": "sqrt_dim"}
            arms.append(arm("η/√dim", f"{base}, η {eta:g}", PAIR, base, changes))
        for s in windows(steps, int(base == AUTHORS)):
            arms.append(arm("s", f"{base}, s {s}", PAIR, base, {"s": s}))
        for w in options.weights:
            arms.append(arm("w", f"{base}, w {w:g}", PAIR, base, {"weights": [w]}))
    return arms


def models_of(layout_set: LayoutSet) -> tuple[str, ...]:
    """Those that are measured: without IP-Adapter where no layout has the style picture that it needs."""
    return THREE if "style" in asked_of(layout_set) else PAIR


def windows(steps: int, first_step: int) -> list[int]:
    """Values of s from 1 to all steps from ``first_step`` on.

    >>> windows(20, 1)
    [1, 2, 3, 5, 10, 15, 19]
    """
    most = steps - first_step
    return sorted({min(s, most) for s in (1, 2, 3, steps // 4, steps // 2, 3 * steps // 4, most) if s > 0})


def strata_at(tables: Tables, layout_set: LayoutSet, steps: int) -> pd.DataFrame:
    """Where the letter and the authors' code gain over the target alone, at one T: by instance, and by interaction."""
    target, auxiliary = (f"T {steps}: {model}" for model in PAIR)
    instances = by_auxiliary(instance_units(tables.verdicts, box_overlaps(layout_set)), auxiliary)
    split = {"instance": (instances, [AUXILIARY, "size", "overlap"])}
    if not tables.interactions.empty:
        units = interaction_units(tables.verdicts, tables.interactions)
        split["interaction"] = (by_auxiliary(units, auxiliary, "ends_right"), [AUXILIARY])
    found = []
    for unit, (units, strata) in split.items():
        for base in BASES:
            table = gain_by_stratum(units, f"T {steps}: {base}", target, strata)
            table.insert(0, "of", unit)
            table.insert(0, "T", steps)
            found.append(table)
    return pd.concat(found, ignore_index=True)


def box_overlaps(layout_set: LayoutSet) -> pd.DataFrame:
    """layout_index, instance, and overlap: the largest share of the smaller box in common with another box."""
    rows = []
    for entry in layout_set.entries:
        boxes = np.array([instance.box for instance in entry.layout.instances])
        rows += [(entry.index, k, float(share)) for k, share in enumerate(largest_overlaps(boxes))]
    return pd.DataFrame(rows, columns=["layout_index", "instance", "overlap"])


def hand_over(study: StudyRun, target: str, auxiliaries: Sequence[str], steps: Sequence[int]) -> pd.DataFrame:
    """Measure ``auxiliary for k steps, then target`` for each auxiliary and k.

    Columns auxiliary, target, k, images, and of each metric of :data:`bench.report.joint.SHOWN` that the layouts ask
    for its value and bounds (fractions).

    Raises:
        InputError: a model that the profile does not have, or more steps than T.
    """
    presets = load_profile(study.profile)
    check_models(presets, (target, *auxiliaries))
    tried = {f"{auxiliary} for {k} steps, then {target}": (auxiliary, k) for auxiliary in auxiliaries for k in steps}
    settings = {name: handing_over(presets, target, *one, study.layout_set) for name, one in tried.items()}
    metrics = measure(study, settings, "hand over")
    shown = [f"{name}{end}" for name in SHOWN if name in metrics for end in ("", "_low", "_high")]
    about = pd.DataFrame(list(tried.values()), columns=["auxiliary", "k"], index=list(tried))
    about.insert(1, "target", target)
    return pd.concat([about, metrics[["images", *shown]]], axis=1).reset_index(drop=True)


def handing_over(presets: Profile, target: str, auxiliary: str, k: int, layout_set: LayoutSet) -> MethodSettings:
    """The auxiliary's state alone for the first ``k`` steps, then the target from there."""
    return as_preset(presets, {**with_models((target, auxiliary), layout_set), "aggregation": handing(k)})


def handing(k: int) -> dict[str, Any]:
    """The aggregation of a target and an auxiliary under which the auxiliary draws the first ``k`` steps, as it would
    alone."""
    own = {"initial_noise": "separate", "weights": [0.0], "eta": [], "pull_back": False}
    return {"semantics": "paper", "s": k, **own}


def hand_over_markdown(table: pd.DataFrame) -> str:
    """The curves as a page, per cent."""
    parts = [
        "# Hand-over curves",
        "The auxiliary alone draws the first k steps, then the target goes on from its state. Per cent.",
    ]
    for (auxiliary, target), own in table.groupby(["auxiliary", "target"], sort=False):
        shown = own[["k"]].assign(**in_per_cent(own, SHOWN))
        parts += [f"## {auxiliary}, then {target}", as_markdown(shown, ".1f")]
    return as_page(parts)
