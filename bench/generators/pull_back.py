"""How far x′ lies from each model's mean while models are aggregated, and how far the pull-back takes it.

Where η/√dim reaches the distance, a model is put back to its own mean, as if nothing had been mixed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from statistics import fmean
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd

from amdm.errors import InputError
from amdm.layout import Layout

if TYPE_CHECKING:
    from amdm.methods import Method
    from amdm.sampler import Step

DISTANCE, ETA = "distance_to_mean", "eta"
PullBack = dict[str, dict[str, float]]
"""By model: "distance_to_mean", ‖x′ − μ‖/√dim, and "eta", how far the pull-back went, η/√dim."""


def with_pull_back(
    method: Method, layouts: Sequence[Layout], keys: Sequence[str], **conditions: Any
) -> SimpleNamespace:
    """The method's pictures, and for each a :data:`PullBack`, the mean over the steps of the window.

    pull_back_steps: the same of each step, by its index.
    conditions: further ones of :meth:`amdm.methods.Method.generate`.
    """
    steps: dict[int, list[PullBack]] = {}

    def look(step: Step) -> None:
        if step.mean:
            steps[step.index] = of_step(step)

    made = method.generate(layouts, keys, look, **conditions)
    found = [mean_over_steps([step[k] for step in steps.values()]) for k in range(len(layouts))]
    by_step = [{i: step[k] for i, step in steps.items()} for k in range(len(layouts))]
    made_of = {"images": made.images, "finite": made.finite, "evaluations": made.evaluations}
    return SimpleNamespace(**made_of, pull_back=found, pull_back_steps=by_step)


def of_step(step: Step) -> list[PullBack]:
    """One a sample, of a step that pulled back."""
    assert step.mixed is not None
    root, distance = step.mixed[0].numel() ** 0.5, step.geometry()
    moved = {name: ((step.leaving[name] - step.mixed).flatten(1).norm(dim=1) / root).tolist() for name in step.mean}
    return [
        {name: {DISTANCE: distance[name][DISTANCE][k], ETA: moved[name][k]} for name in step.mean}
        for k in range(len(step.mixed))
    ]


def mean_over_steps(steps: Sequence[PullBack]) -> PullBack:
    """Empty where no step pulled back."""
    models = steps[0] if steps else {}
    return {name: {what: fmean(step[name][what] for step in steps) for what in (DISTANCE, ETA)} for name in models}


def pull_back_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Means over the samples of a run: columns method, model, distance_to_mean, eta, samples; methods as they come.

    Args:
        samples: with the column ``pull_back``, JSON of a :data:`PullBack`, empty where nothing was pulled back.

    Raises:
        InputError: it holds something else.
    """
    rows = [
        {"method": row["method"], "model": model, DISTANCE: far, ETA: eta}
        for row in samples[samples["pull_back"].notna()].to_dict("records")
        for model, far, eta in _read(row["pull_back"])
    ]
    if not rows:
        return pd.DataFrame()
    groups = pd.DataFrame(rows).groupby(["method", "model"], sort=False)
    return groups.mean().join(groups.size().rename("samples")).reset_index()


def _read(text: object) -> list[tuple[str, float, float]]:
    """(model, distance, η) of a record."""
    try:
        found = [(str(model), float(one[DISTANCE]), float(one[ETA])) for model, one in json.loads(str(text)).items()]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError("is not what a run records", field="samples.pull_back") from error
    if not all(math.isfinite(number) for _, *numbers in found for number in numbers):
        raise InputError("holds something that is not a number", field="samples.pull_back")
    return found
