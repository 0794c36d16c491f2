"""The auxiliaries alone, one after another, then the target: what a plain switch of models does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from amdm.compositions.one_state import Mixed

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Run


def whose_part(i: int, window: range, models: int) -> int:
    """1 … N − 1 in equal parts of the window."""
    return 1 + (i - window.start) * (models - 1) // len(window)


class Switch(Mixed):
    """The auxiliaries share the window in equal parts, in their order. Where it begins at step 0, the state begins as
    the first auxiliary's own noise."""

    semantics: Literal["switch"]

    @property
    def shares_noise(self) -> bool:
        """The auxiliary draws as it would alone."""
        return False

    def starts_from(self, num_inference_steps: int) -> int:
        """The model that takes the first step."""
        return 1 if 0 in self.window(num_inference_steps) else 0

    def step_cost(self, i: int, window: range, models: int) -> list[int]:
        """One auxiliary's."""
        turn = whose_part(i, window, models)
        return [int(k == turn) for k in range(models)]

    def epsilon(self, run: Run, x: torch.Tensor, i: int) -> torch.Tensor:
        """Of the auxiliary whose part of the window it is."""
        return run.guided(whose_part(i, run.window, run.count), x, i)
