"""Choice of settings, of single models and for the combined table, on layouts that no result is reported on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.studies.settings import (
    Method,
    as_preset,
    check_models,
    plain_aggregation,
    presets_file,
    setting_text,
    with_models,
)
from bench.studies.trials import StudyRun, measure

TUNING_SET = "mini-combined-tune"
ROWS: tuple[tuple[str, ...], ...] = (
    ("interactdiffusion",),
    ("migc",),
    ("ip-adapter",),
    ("interactdiffusion", "migc"),
    ("interactdiffusion", "ip-adapter"),
    ("interactdiffusion", "migc", "ip-adapter"),
)
"""Models of each row, the target first."""
OF_MODELS: dict[str, dict[str, tuple[float, ...]]] = {
    "interactdiffusion": {"guidance_scale": (2.0, 3.0, 4.5, 6.0, 7.5), "fuser_beta": (0.3, 0.5, 0.7, 1.0)},
    "migc": {"guidance_scale": (2.0, 3.0, 4.5, 6.0, 7.5), "migc_steps": (5, 10, 15, 20)},
    "ip-adapter": {"guidance_scale": (2.0, 3.0, 4.5, 6.0, 7.5), "scale": (0.5, 0.75, 1.0, 1.5)},
}
"""What is tried of a single model, 20 settings of each; in an aggregate its settings are those of the preset."""
OF_AGGREGATES: dict[str, tuple[Any, ...]] = {
    "s": (1, 2, 3, 4, 6, 8, 12),
    "eta": (None, 0.0, 0.1, 0.2, 0.35),
    "initial_noise": ("shared", "separate"),
    "mix_norm": ("as_is", "preserving"),
}
"""What is tried of an aggregation, beside each weight. eta: over √dim, of all models alike; None: no pull-back."""
WEIGHTS = (0.0, 0.3, 0.5, 0.7, 0.85)
PREFERRED = ("joint_interaction", "joint_picture", "isr", "action_given_place", "style")
"""The first that differs decides."""
SINGLES_SET = "mini-tune"


def tune_combined(
    profile: str, trials: int, limit: int, seed: int, workers: int, keep: Path | None = None
) -> tuple[pd.DataFrame, str]:
    """Try ``trials`` settings of each of :data:`ROWS` on ``limit`` layouts of the tuning set.

    The settings are drawn at random, the same ones for the same seed; the first of an aggregate are the authors' and
    the paper's, the first of a single model its preset's. keep: of :class:`bench.studies.trials.StudyRun`.

    Returns:
        Every trial with its metrics (fractions), the best of a row first; and the best of each as YAML, in the form of
        the profile's presets, under the names ``<models>@tuned``.
    """
    layout_set, presets = load_layouts(TUNING_SET).subset(limit), load_profile(profile)
    tried = {
        f"{'+'.join(models)} {k}": ("+".join(models), one)
        for models in ROWS
        for k, one in enumerate(candidates(presets, models, layout_set, trials, seed))
    }
    settings = {name: as_preset(presets, one) for name, (_, one) in tried.items()}
    metrics = measure(StudyRun(layout_set, workers, keep=keep, profile=profile), settings, "tune")
    table, best = best_first(tried, metrics[[*preferred(metrics), "images"]])
    return table, _yaml({f"{row}@tuned": one for row, one in best.items()}, trials, limit, seed)


def preferred(table: pd.DataFrame) -> list[str]:
    """Those of :data:`PREFERRED` that a table has."""
    return [name for name in PREFERRED if name in table]


def best_first(
    tried: Mapping[str, tuple[str, Method]], measured: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Method]]:
    """Every trial with its row, its setting in words and what was measured, the best of a row first; and the settings
    of each row's best.

    The best has no failed pictures (column failed) if it can be, and then most of the first of :data:`PREFERRED` that
    differs.

    Args:
        tried: row and settings by trial, the rows in their order. measured: by trial (the index).
    """
    about = [(row, setting_text(one)) for row, one in tried.values()]
    table = pd.DataFrame(about, columns=["row", "setting"], index=list(tried)).join(measured)
    order = {row: k for k, row in enumerate(dict.fromkeys(table.row))}
    by = ["order", *(["failed"] if "failed" in table else []), *preferred(table)]
    ascending = [name not in PREFERRED for name in by]
    table = table.assign(order=table.row.map(order)).sort_values(by, ascending=ascending, kind="stable")
    best = {str(row): tried[str(own.index[0])][1] for row, own in table.groupby("row", sort=False)}
    return table.drop(columns="order").reset_index(drop=True), best


def candidates(
    presets: Profile, models: tuple[str, ...], layout_set: LayoutSet, trials: int, seed: int
) -> list[dict[str, Any]]:
    """``trials`` different settings of one row, as they stand in a file of presets."""
    rng = np.random.default_rng([seed, len(models), *"+".join(models).encode()])
    common = with_models(models, layout_set)
    found: list[dict[str, Any]] = [{**common, **one} for one in _published(presets, models)]
    known = [as_preset(presets, one) for one in found]
    while len(found) < trials:
        if len(models) == 1:
            fields = OF_MODELS[models[0]]
            own = {"settings": {models[0]: {name: draw(rng, values) for name, values in fields.items()}}}
        else:
            own = _of_aggregate(rng, len(models))
        one = {**common, **own}
        if (settings := as_preset(presets, one)) not in known:  # a preset names less than what is drawn
            known.append(settings)
            found.append(one)
    return found[:trials]


def _published(presets: Profile, models: tuple[str, ...]) -> list[dict[str, Any]]:
    """The preset of a single model; of an aggregate the authors' and the paper's settings."""
    if len(models) == 1:
        return [{}]
    name = "+".join(models)
    names = [f"{name}{end}" for end in ("", "@paper")]
    return [{"aggregation": plain_aggregation(presets.method(one))} for one in names]


def _of_aggregate(rng: np.random.Generator, count: int) -> dict[str, Any]:
    own = {name: draw(rng, values) for name, values in OF_AGGREGATES.items()}
    eta = own.pop("eta")
    pulled: dict[str, Any] = {"eta": [eta] * count, "eta_unit": "sqrt_dim"}
    pull_back = {"eta": [], "pull_back": False} if eta is None else pulled
    weights = [draw(rng, WEIGHTS) for _ in range(count - 1)]
    return {"aggregation": {"semantics": "paper", "weights": weights, **own, **pull_back}}


def draw(rng: np.random.Generator, values: tuple[Any, ...]) -> Any:
    """One of the values, each as likely."""
    return values[int(rng.integers(len(values)))]


def _yaml(methods: dict[str, Any], trials: int, limit: int, seed: int) -> str:
    return presets_file(
        methods,
        f"Written by `amdm-bench tune-combined --trials {trials} --limit {limit} --seed {seed}`:\n"
        f"of {trials} settings a row the best on {TUNING_SET} by joint success. Change nothing by hand.",
    )


def tune(
    profile: str, models: Sequence[str], steps: Sequence[int], guidances: Sequence[float], limit: int, workers: int
) -> pd.DataFrame:
    """Measure every model with every T and guidance on ``limit`` layouts of the tuning set; best ISR first by model.

    Columns model, T, guidance, isr, place, colour_given_place (fractions) and images.
    """
    layout_set = load_layouts(SINGLES_SET).subset(limit)
    presets = load_profile(profile)
    check_models(presets, models)

    def alone(model: str, t: int, guidance: float) -> MethodSettings:
        changes = (f"num_inference_steps={t}", f"guidance_scale={guidance}")
        return presets.method(model, [f"settings.{model}.{one}" for one in changes])

    tried = {f"{m}, T {t}, guidance {g:g}": (m, t, g) for m, t, g in product(models, steps, guidances)}
    study = StudyRun(layout_set, workers, profile=profile)
    table = measure(study, {name: alone(*one) for name, one in tried.items()}, "tune")
    metrics = table[["isr", "place", "colour_given_place", "images"]]
    about = pd.DataFrame(list(tried.values()), columns=["model", "T", "guidance"], index=list(tried))
    found = pd.concat([about, metrics], axis=1)
    return found.sort_values(["model", "isr"], ascending=[True, False], ignore_index=True)
