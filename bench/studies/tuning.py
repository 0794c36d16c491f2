"""Choice of T and guidance for each single model, on layouts that no result is reported on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd

from amdm.presets.profile import load_profile
from amdm.presets.settings import MethodSettings
from bench.layouts.named import load_layouts
from bench.studies.settings import check_models
from bench.studies.trials import StudyRun, measure

TUNING_SET = "mini-tune"


def tune(
    profile: str, models: Sequence[str], steps: Sequence[int], guidances: Sequence[float], limit: int, workers: int
) -> pd.DataFrame:
    """Measure every model with every T and guidance on ``limit`` layouts of the tuning set; best ISR first by model.

    Columns model, T, guidance, isr, place, colour_given_place (fractions) and images.
    """
    layout_set = load_layouts(TUNING_SET).subset(limit)
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
