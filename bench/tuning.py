"""Choice of T and guidance for each single model, on layouts that no result is reported on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from amdm.config import MethodSettings, load_profile
from amdm.errors import InputError
from amdm.loading import Loading, load_models
from amdm.methods import Method
from bench.engines.local import run_tasks
from bench.factories import make_judge
from bench.layouts.layout_set import Entry
from bench.layouts.named import load_layouts
from bench.metrics import AVERAGE, metric_table
from bench.scoring import Picture, judge_images, verdict_row
from bench.store import VERDICT_COLUMNS

TUNING_SET = "mini-tune"
BATCH = 16


@dataclass(frozen=True)
class Trial:
    """One model alone under one setting, on some layouts."""

    model: str
    settings: MethodSettings
    set_hash: str
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """As it stands in the table."""
        own = self.settings.settings[self.model]
        return f"{self.model}, T {own.num_inference_steps}, guidance {own.guidance_scale:g}"


class TrialWorker:
    """Loads models and judge once, then runs trials."""

    def __init__(self, profile: str) -> None:
        self.models, self.judge = load_models(profile, (), Loading()), make_judge()

    def __call__(self, trial: Trial) -> tuple[list[tuple[Any, ...]], int]:
        method = Method(trial.name, trial.settings, self.models)
        keys = [f"{trial.set_hash}/{entry.index}/0" for entry in trial.entries]
        made = method.generate([entry.layout for entry in trial.entries], keys)
        if not all(made.finite):
            raise InputError("NaN or infinity in the latents", field=trial.name)
        pictures = [Picture(trial.name, 0, entry, Path()) for entry in trial.entries]
        verdicts = judge_images(self.judge, list(made.images), pictures)
        pairs = zip(trial.entries, verdicts, strict=True)
        rows = [verdict_row(trial.name, 0, entry, k, one) for entry, own in pairs for k, one in enumerate(own)]
        return rows, len(trial.entries)


def tune(
    profile: str, models: Sequence[str], steps: Sequence[int], guidances: Sequence[float], limit: int, workers: int
) -> pd.DataFrame:
    """Measure every model with every T and guidance on ``limit`` layouts of the tuning set; best ISR first by model.

    Columns model, T, guidance, isr, place, colour_given_place (fractions) and images.
    """
    layout_set = load_layouts(TUNING_SET).subset(limit)
    presets = load_profile(profile)
    if unknown := [name for name in models if name not in presets.models]:
        raise InputError(f"unknown model {unknown[0]!r}; there are: {', '.join(presets.models)}", field="models")

    def alone(model: str, t: int, guidance: float) -> MethodSettings:
        changes = (f"num_inference_steps={t}", f"guidance_scale={guidance}")
        return presets.method(model, [f"settings.{model}.{one}" for one in changes])

    chunks = [layout_set.entries[k : k + BATCH] for k in range(0, len(layout_set), BATCH)]
    trials = [
        Trial(model, alone(model, t, g), layout_set.hash, chunk)
        for model, t, g, chunk in product(models, steps, guidances, chunks)
    ]
    rows: list[tuple[Any, ...]] = []
    with tqdm(total=sum(len(trial.entries) for trial in trials), desc="tune", unit="image") as progress:
        for found, count in run_tasks(TrialWorker, (profile,), trials, workers):
            rows += found
            progress.update(count)
    table = metric_table(pd.DataFrame(rows, columns=list(VERDICT_COLUMNS)), intervals=False)
    table = table[table.level == AVERAGE].set_index("method")
    settings = {trial.name: trial for trial in trials}
    result = pd.DataFrame(
        {
            "model": trial.model,
            "T": trial.settings.steps,
            "guidance": trial.settings.settings[trial.model].guidance_scale,
            **{metric: table.loc[name, metric] for metric in ("isr", "place", "colour_given_place", "images")},
        }
        for name, trial in settings.items()
    )
    return result.sort_values(["model", "isr"], ascending=[True, False], ignore_index=True)
