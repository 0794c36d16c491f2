"""Hand-over curves: an auxiliary draws the first k steps, then the target goes on, k = 0 … T; each property measured.

They say what an aggregate could gain at most from an auxiliary, and when the picture's properties are decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings
from bench.layouts.layout_set import LayoutSet
from bench.report.joint import SHOWN
from bench.report.text import as_markdown, as_page, in_per_cent
from bench.studies.settings import as_preset, check_models, with_models
from bench.studies.trials import StudyRun, measure


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
