"""One model, which draws alone: what a preset without an aggregation does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from amdm.compositions.composition import Composition

if TYPE_CHECKING:
    from amdm.sampler import BoundModel, Callback, SamplingResult


class Single(Composition):
    """It has no settings."""

    semantics: str = "single"

    def evaluations(self, models: int, num_inference_steps: int) -> list[int]:
        """One a step."""
        return [num_inference_steps]

    def sample(
        self,
        models: Sequence[BoundModel],
        num_inference_steps: int,
        callback: Callback | None = None,
        finish_all: bool = False,
    ) -> SamplingResult:
        """As the model's own scheduler steps."""
        from amdm.sampler import aggregate_sample

        return aggregate_sample(models, num_inference_steps, None, callback, finish_all=finish_all)
