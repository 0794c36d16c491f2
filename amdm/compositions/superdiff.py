"""Equal densities under all models, by an Itô estimate along the way (Skreta et al., arXiv:2412.17762)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from amdm.compositions.one_state import OneState
from amdm.errors import InputError

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Advance, Run


def superdiff_and(
    eps: Sequence[torch.Tensor], u: torch.Tensor, g: float, dsigma: float, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """dx in VE variables along which the log-densities of all models change equally, and κ (B, N), Σ κ = 1.

    An SDE step dx = 2dσ·[u + g(Σ κᵢεᵢ − u)] + noise changes log qᵢ by −⟨εᵢ, dx⟩/σ − |dσ|‖εᵢ‖²/σ. That these be equal
    is linear in κ; for two models, with dx_ind the step along the second alone,
    κ₁ = [|dσ|⟨ε₂−ε₁, ε₂+ε₁⟩ − ⟨dx_ind, ε₁−ε₂⟩] / (2dσ·g·‖ε₁−ε₂‖²). Where predictions agree κ is open; the nearest to
    1/N is taken.

    Args:
        eps: conditional predictions (B, C, h, w). u, g: the unconditional one, and guidance, not 0.
        dsigma: dσ, negative. noise: spread·z (both of :class:`amdm.compositions.run.Reverse`).
    """
    from torch.linalg import pinv

    last, count = eps[-1], len(eps)
    dx_ind = 2 * dsigma * (u + g * (last - u)) + noise
    delta = _rows([e - last for e in eps[:-1]])  # (B, N−1, D)
    gram = delta @ delta.mT
    change = _rows([-abs(dsigma) * (e + last) - dx_ind for e in eps[:-1]])
    wanted = (delta * change).sum(2, keepdim=True) / (2 * dsigma * g)
    even = delta.new_full(wanted.shape, 1 / count)
    kappa = even + pinv(gram, hermitian=True) @ (wanted - gram @ even)
    moved = (kappa * delta).sum(1).reshape(last.shape).to(last.dtype)
    dx = 2 * dsigma * (u + g * (last - u + moved)) + noise
    return dx, _with_rest(kappa.squeeze(2))


class SuperDiffAND(OneState):
    """The window is the reverse SDE's: its noise is drawn. Unconditional prediction and guidance are the target's.

    The source takes 1000 steps; with fewer, densities are less equal.
    """

    semantics: Literal["superdiff-and"]

    def begin(self, run: Run) -> Advance:
        """Steps of the SDE. Raises InputError where nothing guides the target: no κ would change a step."""
        if run.window and getattr(run.target.denoiser, "guidance_scale", None) == 0:
            what = f"is 0 of {run.target.name}, and {self.semantics} goes along what guidance adds"
            raise InputError(what, field="guidance_scale")

        def advance(x: torch.Tensor, i: int) -> torch.Tensor:
            halves, step = [run.halves(k, x, i) for k in range(run.count)], run.reverse(i)
            noise = step.spread * run.noise(x)
            dx, _ = superdiff_and([half.c for half in halves], halves[0].u, halves[0].g, step.dsigma, noise)
            return step.scale_after * (x / step.scale + dx)

        return advance


def _rows(xs: Sequence[torch.Tensor]) -> torch.Tensor:
    """(B, len(xs), D), in float64: differences of like predictions are squared."""
    import torch

    return torch.stack([x.flatten(1).double() for x in xs], dim=1)


def _with_rest(kappa: torch.Tensor) -> torch.Tensor:
    """κ of all models, of those of all but the last."""
    import torch

    return torch.cat([kappa, 1 - kappa.sum(1, keepdim=True)], dim=1)
