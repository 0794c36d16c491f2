"""The models take turns (LoRA-Switch; Zhong et al., arXiv:2402.16843)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from amdm.compositions.one_state import Mixed

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Run


def whose_turn(j: int, tau: int, models: int) -> int:
    """⌊j/τ⌋ mod N, the model's place; j is counted from the window's beginning, and τ is 1 or more."""
    return j // tau % models


class Alternate(Mixed):
    """tau: steps that a model takes before the next one does; the target begins."""

    semantics: Literal["alternate"]
    tau: Annotated[int, Field(ge=1, lt=2**31)] = 5

    def step_cost(self, i: int, window: range, models: int) -> list[int]:
        """One model's."""
        turn = whose_turn(i - self.first_step, self.tau, models)
        return [int(k == turn) for k in range(models)]

    def epsilon(self, run: Run, x: torch.Tensor, i: int) -> torch.Tensor:
        """Of the model whose turn it is."""
        return run.guided(whose_turn(i - self.first_step, self.tau, run.count), x, i)
