"""Compositions in which all models read one state: in a window they draw together, outside it the target alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from amdm.aggregation import aggregated_steps
from amdm.compositions.composition import Composition
from amdm.errors import InputError
from amdm.io.strict import Count, Numbers

if TYPE_CHECKING:  # presets are read without any network
    import torch

    from amdm.compositions.run import Advance, Run
    from amdm.sampler import BoundModel, Callback, SamplingResult


class OneState(Composition):
    """first_step, s: the window, steps first_step … first_step + s − 1, counted from 0; without s up to the last."""

    first_step: Count = 0
    s: Count | None = None

    def check(self, models: int, num_inference_steps: int) -> None:
        """Several models, and a window within the steps."""
        if models < 2:
            raise InputError(f"there is {models}; {self.semantics} takes 2 or more", field="models")
        if self.first_step > num_inference_steps:
            raise InputError(f"is {self.first_step}, but there are {num_inference_steps} steps", field="first_step")
        self.window(num_inference_steps)

    def evaluations(self, models: int, num_inference_steps: int) -> list[int]:
        """Those of the window, and the target's in every other step."""
        window = self.window(num_inference_steps)
        inside = [self.step_cost(i, window, models) for i in window]
        alone = num_inference_steps - len(window)
        return [sum(one[k] for one in inside) + (alone if k == 0 else 0) for k in range(models)]

    def window(self, num_inference_steps: int) -> range:
        """The steps in which the models draw together. Raises InputError where they go beyond T."""
        s = num_inference_steps - self.first_step if self.s is None else self.s
        return aggregated_steps(self.first_step, s, num_inference_steps)

    def step_cost(self, i: int, window: range, models: int) -> list[int]:
        """Evaluations of each model in step i, of the window."""
        return [1] * models

    @abstractmethod
    def begin(self, run: Run) -> Advance:
        """What takes the state from step to step in the window."""

    def sample(
        self,
        models: Sequence[BoundModel],
        num_inference_steps: int,
        callback: Callback | None = None,
        finish_all: bool = False,
    ) -> SamplingResult:
        """The state at the end is the target's; the other models have none. A callback sees and changes this state."""
        from amdm.compositions.run import Run

        if finish_all:
            raise InputError(f"the models of {self.semantics} share one state", field="all_models")
        self.check(len(models), num_inference_steps)
        window = self.window(num_inference_steps)
        run = Run(models, num_inference_steps, window, self.starts_from(num_inference_steps))
        return run.through(self.begin(run), callback)


class Mixed(OneState):
    """Predictions are combined to one ε, and the state takes DDIM's step along it."""

    @abstractmethod
    def epsilon(self, run: Run, x: torch.Tensor, i: int) -> torch.Tensor:
        """The combined prediction in step i of the window."""

    def begin(self, run: Run) -> Advance:
        """DDIM's steps."""
        return lambda x, i: run.ddim(x, self.epsilon(run, x, i), i)


def check_weights(weights: Numbers, count: int, field: str = "weights") -> None:
    """Raise InputError unless there are as many as models."""
    if len(weights) != count:
        raise InputError(f"{len(weights)} for {count} models", field=field)
