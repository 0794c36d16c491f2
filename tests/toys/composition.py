"""A composition in one file, as a user would add it: one state, and in every step the weighted mean of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from amdm.compositions.composition import Composition
from amdm.errors import InputError
from amdm.io.strict import Numbers
from amdm.sampler import BoundModel, Callback, SamplingResult, aggregate_sample


class MeanPrediction(Composition):
    """weights: one a model; they are divided by their sum."""

    semantics: Literal["mean"]
    weights: Numbers

    def check(self, models: int, num_inference_steps: int) -> None:
        if len(self.weights) != models:
            raise InputError(f"{len(self.weights)} weights for {models} models", field="weights")

    def evaluations(self, models: int, num_inference_steps: int) -> list[int]:
        return [num_inference_steps] * models

    def sample(
        self,
        models: Sequence[BoundModel],
        num_inference_steps: int,
        callback: Callback | None = None,
        finish_all: bool = False,
    ) -> SamplingResult:
        if finish_all:
            raise InputError("the models share one state", field="all_models")

        def mean(x: torch.Tensor, t: float, i: int) -> torch.Tensor:
            parts = [w * model.denoiser(x, t, i) for w, model in zip(self.weights, models, strict=True)]
            return torch.stack(parts).sum(0) / sum(self.weights)

        result = aggregate_sample([replace(models[0], denoiser=mean)], num_inference_steps, None, callback)
        (count,) = result.evaluations.values()
        return replace(result, evaluations={model.name: count for model in models})
