"""Regions of one picture by models of their own (Bar-Tal et al., arXiv:2302.08113), the regions being boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from amdm.compositions.one_state import Mixed
from amdm.errors import InputError

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Run


def multidiffusion(eps: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """ε = Σ Mᵢ⊙εᵢ / Σ Mᵢ of predictions (B, C, h, w), masks (B, 1, h, w) of which one at least is above 0 everywhere.

    From one state x this is the source's x′ = Σ Mᵢ⊙Φᵢ(x) / Σ Mᵢ, as DDIM's step Φ is x times a number plus ε times one.
    """
    summed = sum((m * e for m, e in zip(masks, eps, strict=True)), eps[0].new_zeros(()))
    return summed / sum(masks, masks[0].new_zeros(()))


class MultiDiffusion(Mixed):
    """The auxiliaries where the layout has a box, alike where there are several, and the target elsewhere.

    The source's bootstrapping on plain backgrounds is left out: every model here reads the whole layout, and need not
    be kept from drawing beyond its region.
    """

    semantics: Literal["multidiffusion"]
    reads_boxes: ClassVar[bool] = True

    def epsilon(self, run: Run, x: torch.Tensor, i: int) -> torch.Tensor:
        """Of all models, each in its region."""
        if run.target.inside is None:
            raise InputError(f"{run.target.name} was bound without them; {self.semantics} reads them", field="boxes")
        inside = run.target.inside.to(x)
        masks = [1 - inside] + [inside] * (run.count - 1)
        return multidiffusion([run.guided(k, x, i) for k in range(run.count)], masks)
