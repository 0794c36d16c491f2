"""Compositions that mix the states of all models in a window of steps (Algorithm 2), and then go on with the target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from amdm.aggregation import (
    SEMANTICS,
    AggregationConfig,
    Coefficients,
    EtaUnit,
    InitialNoise,
    Mean,
    MixNorm,
    paper,
)
from amdm.compositions.composition import Composition
from amdm.io.strict import Count, Numbers

if TYPE_CHECKING:
    from amdm.sampler import BoundModel, Callback, Mix, SamplingResult


class Window(Composition):
    """Its settings, as the :class:`AggregationConfig` that they stand for, are all that such a composition is."""

    @abstractmethod
    def config(self) -> AggregationConfig:
        """The aggregation it describes."""

    def mix(self) -> Mix | None:
        """What stands in place of equation 9; None: nothing does."""
        return None

    @property
    def shares_noise(self) -> bool:
        """As the configuration says."""
        return self.config().initial_noise == "shared"

    def check(self, models: int, num_inference_steps: int) -> None:
        """Weights and step sizes for the models, and a window within the steps."""
        self.config().check_models(models)
        self.config().steps(num_inference_steps)

    def evaluations(self, models: int, num_inference_steps: int) -> list[int]:
        """The steps of each model that can still reach the target."""
        from amdm.sampler import planned_evaluations

        return planned_evaluations(models, num_inference_steps, self.config())

    def sample(
        self,
        models: Sequence[BoundModel],
        num_inference_steps: int,
        callback: Callback | None = None,
        finish_all: bool = False,
    ) -> SamplingResult:
        """Algorithm 2."""
        from amdm.sampler import aggregate_sample

        config, mix = self.config(), self.mix()
        return aggregate_sample(models, num_inference_steps, config, callback, finish_all=finish_all, mix=mix)


class AMDM(Window):
    """The paper's aggregation to the letter, or as the authors' code has it, with fields overridden."""

    semantics: Literal["paper", "official"]
    s: Count
    weights: Numbers
    eta: Numbers
    eta_unit: EtaUnit = "latent"
    initial_noise: InitialNoise | None = None
    first_step: Count | None = None
    mean: Mean | None = None
    coefficients: Coefficients | None = None
    mix_norm: MixNorm = "as_is"
    pull_back: bool = True

    def config(self) -> AggregationConfig:
        """Of the named semantics, but for what is set."""
        fields = {k: v for k, v in self.model_dump().items() if v is not None and k != "semantics"}
        s, weights, eta = (fields.pop(name) for name in ("s", "weights", "eta"))
        return SEMANTICS[self.semantics](s, weights, eta, **fields)


class Slerp(Window):
    """States are mixed on a sphere for s steps, their norm preserved, and not pulled back."""

    semantics: Literal["slerp"]
    first_step: Count = 0
    s: Count
    weights: Numbers

    def config(self) -> AggregationConfig:
        """Equation 9 with the norm that unrelated states would have, and no equation 10."""
        fields = {"first_step": self.first_step, "pull_back": False, "mix_norm": "preserving"}
        return paper(self.s, self.weights, (), **fields)
