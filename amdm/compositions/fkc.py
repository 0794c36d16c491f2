"""Particles with Feynman–Kac weights (Skreta et al., arXiv:2503.02819): the product of densities, not of scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from amdm.compositions.one_state import OneState, check_weights
from amdm.io.strict import Numbers

if TYPE_CHECKING:
    import torch

    from amdm.compositions.run import Advance, Run


def product_drift(
    eps: Sequence[torch.Tensor], gamma: Sequence[float], dsigma: float, sigma: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ γᵢεᵢ, along which a particle goes, and what its log-weight for Π qᵢ^γᵢ grows by, up to a constant.

    d log w = ½g²[‖Σ γᵢsᵢ‖² − Σ γᵢ‖sᵢ‖²]dt, with sᵢ = −εᵢ/σ and g²dt = 2σ|dσ|: |dσ|/σ·[‖Σ γᵢεᵢ‖² − Σ γᵢ‖εᵢ‖²].

    Args:
        eps: (B, K, C, h, w), K particles; returns that shape, and (B, K).
    """
    mixed = sum((g * e for g, e in zip(gamma, eps, strict=True)), eps[0].new_zeros(()))
    apart = sum((g * _squared(e) for g, e in zip(gamma, eps, strict=True)), _squared(mixed).new_zeros(()))
    return mixed, abs(dsigma) / sigma * (_squared(mixed) - apart)


def systematic(log_weight: torch.Tensor, start: torch.Tensor, count: int) -> torch.Tensor:
    """Systematic resampling: (B, K) log-weights and (B, 1) numbers in [0, 1) → (B, count) indices of particles.

    Particle k is taken count·w_k times, rounded up or down, and on average exactly.
    """
    import torch

    reached = log_weight.softmax(1).cumsum(1)
    at = (torch.arange(count, device=start.device) + start) / count
    return torch.searchsorted(reached, at, right=True).clamp(max=log_weight.shape[1] - 1)


class FKC(OneState):
    """gamma: the exponent of each model; ½ each is the geometric mean, 1 each the product.

    particles: K, of which each step of the window resamples, and the last draws one; every model is evaluated at each.
    clamp: bound on a step's log-weight about its mean over the particles (the source has 1); none by default.
    The models' guided predictions stand for their scores. A callback sees one of the particles.
    """

    semantics: Literal["fkc"]
    gamma: Numbers
    particles: Annotated[int, Field(ge=1, le=4096)]
    clamp: Annotated[float, Field(gt=0)] | None = None

    def check(self, models: int, num_inference_steps: int) -> None:
        """As many exponents as models."""
        super().check(models, num_inference_steps)
        check_weights(self.gamma, models, "gamma")

    def step_cost(self, i: int, window: range, models: int) -> list[int]:
        """Every model at every particle."""
        return [self.particles] * models

    def begin(self, run: Run) -> Advance:
        """Steps of the SDE, and resampling after each."""
        import torch

        xs = run.x_T.unsqueeze(1)  # (B, K, C, h, w) once the window has begun

        def advance(x: torch.Tensor, i: int) -> torch.Tensor:
            nonlocal xs
            fresh = range(self.particles - 1)
            if i == 0:
                xs = torch.stack([x, *(run.noise(x) * run.scheduler.init_noise_sigma for _ in fresh)], dim=1)
            elif i == self.first_step:
                xs = torch.stack([x] * self.particles, dim=1)
            else:
                xs = torch.cat([x.unsqueeze(1), xs[:, 1:]], dim=1)
            eps = [torch.stack([run.guided(k, one, i) for one in xs.unbind(1)], 1) for k in range(run.count)]
            step = run.reverse(i)
            drift, log_weight = product_drift(eps, self.gamma, step.dsigma, step.sigma)
            noise = step.spread * torch.stack([run.noise(x) for _ in range(self.particles)], dim=1)
            moved = step.scale_after * (xs / step.scale + 2 * step.dsigma * drift + noise)
            left = self.particles if i + 1 in run.window else 1
            taken = systematic(self._clamped(log_weight), run.uniform(1), left)
            xs = moved[torch.arange(len(x), device=x.device).unsqueeze(1), taken]
            return xs[:, 0]

        return advance

    def _clamped(self, log_weight: torch.Tensor) -> torch.Tensor:
        centred = log_weight - log_weight.mean(1, keepdim=True)
        return centred if self.clamp is None else centred.clamp(-self.clamp, self.clamp)


def _squared(x: torch.Tensor) -> torch.Tensor:
    """‖x‖² of each particle, in float64: (B, K, C, h, w) → (B, K)."""
    return x.double().square().flatten(2).sum(2)
