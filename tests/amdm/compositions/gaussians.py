"""Models whose data are Gaussian: ε in closed form at every noise level, and the law of what a composition draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler

from amdm.compositions.composition import Composition
from amdm.compositions.registry import composition_type
from amdm.sampler import BoundModel

SHAPES = {2: (2, 1, 1), 64: (4, 4, 4)}
"""Latents (C, h, w) of so many dimensions."""
SCHEDULE = {"beta_schedule": "scaled_linear", "clip_sample": False, "timestep_spacing": "trailing"}


def schedule() -> DDIMScheduler:
    """From pure noise (σ about 160) to none, in float64."""
    made = DDIMScheduler(**SCHEDULE)
    made.alphas_cumprod = torch.cumprod(1 - made.betas.double(), 0)
    made.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    return made


@dataclass
class Gaussian:
    """N(mean, diag(var)), and for the unconditional half N(u_mean, diag(u_var)); tensors (d,), float64."""

    mean: torch.Tensor
    var: torch.Tensor
    u_mean: torch.Tensor | None = None
    u_var: torch.Tensor | None = None
    guidance_scale: float = 1.0
    calls: int = 0

    def __call__(self, x: torch.Tensor, t: float, i: int) -> torch.Tensor:
        u, c = self.halves(x, t, i)
        return u + self.guidance_scale * (c - u)

    def halves(self, x: torch.Tensor, t: float, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += 1
        alpha_bar = self.bars[int(t)]
        c = epsilon(self.mean, self.var, x, alpha_bar)
        if self.u_mean is None:
            return c, c
        return epsilon(self.u_mean, self.var if self.u_var is None else self.u_var, x, alpha_bar), c

    def __post_init__(self) -> None:
        self.bars = schedule().alphas_cumprod

    def log_density(self, x: torch.Tensor) -> torch.Tensor:
        law = torch.distributions.Normal(self.mean, self.var.sqrt())
        return law.log_prob(x.flatten(1)).sum(1)


def epsilon(mean: torch.Tensor, var: torch.Tensor, x: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """−√(1−ᾱ)·∇log of N(√ᾱ·mean, ᾱ·var + (1−ᾱ)) at x."""
    noisy = alpha_bar * var + (1 - alpha_bar)
    away = x.flatten(1) - alpha_bar.sqrt() * mean
    return ((1 - alpha_bar).sqrt() * away / noisy).reshape(x.shape)


def isotropic(mean: Sequence[float] | torch.Tensor, std: float, **more: Any) -> Gaussian:
    mean = torch.as_tensor(mean, dtype=torch.float64)
    return Gaussian(mean, torch.full_like(mean, std**2), **more)


def composition(semantics: str, **settings: Any) -> Composition:
    return composition_type(semantics).model_validate({"semantics": semantics, **settings})


def bound(
    models: Sequence[Any], latents: torch.Tensor, seeds: Sequence[int] | None = None, inside: torch.Tensor | None = None
) -> list[BoundModel]:
    made = []
    for k, model in enumerate(models):
        drawn = [torch.Generator().manual_seed(seed) for seed in seeds] if seeds is not None else None
        made.append(BoundModel(f"m{k}", model, schedule(), latents, drawn, inside))
    return made


def law(made: Composition, models: Sequence[Gaussian], steps: int, inside: torch.Tensor | None = None) -> Any:
    """Exact mean and covariance (d,), (d, d) of what a composition draws from N(0, 1), where it is affine in x_T."""
    d = len(models[0].mean)
    basis = torch.cat([torch.zeros(1, d), torch.eye(d)]).double().reshape(d + 1, *SHAPES[d])
    out = made.sample(bound(models, basis, inside=inside), steps).latents["m0"].flatten(1)
    matrix = (out[1:] - out[0]).T
    return out[0], matrix @ matrix.T


def law_of_own_noise(made: Composition, models: Sequence[Gaussian], steps: int) -> Any:
    """As :func:`law`, but over x_T of every model's own."""
    d, count = len(models[0].mean), len(models)
    zero, unit = torch.zeros(1, d, dtype=torch.float64), torch.eye(d, dtype=torch.float64)
    ready = bound(models, zero)
    for k, one in enumerate(ready):
        rows = [zero, *(unit if k == j else zero.expand(d, d) for j in range(count))]
        one.latents = torch.cat(rows).reshape(-1, *SHAPES[d])
    out = made.sample(ready, steps).latents["m0"].flatten(1)
    matrix = (out[1:] - out[0]).T
    return out[0], matrix @ matrix.T


def drawn(made: Composition, models: Sequence[Gaussian], steps: int, count: int, seed: int = 0) -> torch.Tensor:
    """Samples (count, d) of a composition that draws noise."""
    d = len(models[0].mean)
    latents = torch.randn(count, *SHAPES[d], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    result = made.sample(bound(models, latents, range(1000, 1000 + count)), steps)
    return result.latents["m0"].flatten(1)


def spread(d: int, count: int, std: float | Sequence[float] = 0.5) -> list[Gaussian]:
    """Models of d dimensions with unlike means, and one standard deviation or one each."""
    means = torch.randn(count, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64)
    stds = [std] * count if isinstance(std, float) else std
    return [isotropic(mean, one) for mean, one in zip(means, stds, strict=True)]


def std_at_the_end(exponents: Sequence[float], stds: Sequence[float]) -> float:
    """Of what the probability-flow ODE draws along Σ γⱼsⱼ, isotropic models: x grows as Π √(Sⱼ² + σ²)^γⱼ."""
    alpha_bar = schedule().alphas_cumprod[-1].item()
    highest = (1 - alpha_bar) / alpha_bar  # σ² at the start, where x̃ has the variance 1/ᾱ
    grown = math.prod((S * S / (S * S + highest)) ** (g / 2) for g, S in zip(exponents, stds, strict=True))
    return grown / alpha_bar**0.5


def std_of(cov: torch.Tensor) -> float:
    """Of an isotropic law."""
    torch.testing.assert_close(cov, cov[0, 0] * torch.eye(len(cov), dtype=cov.dtype), atol=1e-9, rtol=0)
    return float(cov[0, 0]) ** 0.5


def assert_same_law(ours: Any, theirs: Any) -> None:
    """To rounding in float64, multiplied by a σ of 37."""
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)
