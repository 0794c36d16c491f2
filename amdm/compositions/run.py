"""One run over a single state: what the models predict at it, how it is stepped, what was evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch

from amdm.aggregation import to_epsilon
from amdm.errors import InputError
from amdm.plain_number import plain
from amdm.process_state import undisturbed
from amdm.sampler import BoundModel, Callback, SamplingResult, Step, alpha_bars, finite_samples, own_copies

Advance = Callable[[torch.Tensor, int], torch.Tensor]
"""(x_t (B, C, h, w), i) → x_{t−1}."""


@runtime_checkable
class HalvedDenoiser(Protocol):
    """A denoiser whose halves can be had apart, as :class:`amdm.models.control.GuidedDenoiser`."""

    guidance_scale: float

    def halves(self, x: torch.Tensor, t: float, i: int) -> tuple[torch.Tensor, torch.Tensor]: ...


class Halves(NamedTuple):
    """u and c, ε without and with the model's conditions, and g, its guidance: u + g(c − u) is its guided ε."""

    u: torch.Tensor
    c: torch.Tensor
    g: float


class Reverse(NamedTuple):
    """A step of the reverse SDE in VE variables x̃ = x/√ᾱ, from noise level σ = √((1−ᾱ)/ᾱ) to σ′.

    dx̃ = 2dσ·ε + spread·z. dσ is (σ′² − σ²)/2σ and the spread σ′√(1 − σ′²/σ²): to first order σ′ − σ and √(2|dσ|σ),
    Euler's; with these a state of noise alone has the right variance whatever the number of steps, and the step to
    σ′ = 0 ends at x̂₀.
    """

    sigma: float
    dsigma: float
    spread: float
    scale: float
    """√ᾱ: x̃ = x/scale."""
    scale_after: float


class Run:
    """The models' copies, a schedule that steps ε, and counts.

    Args:
        window: steps that a composition takes; in the others the target is alone.
        first: the model whose x_T the state begins as.

    Raises:
        InputError: before any model runs, for models that do not fit together.
    """

    def __init__(self, models: Sequence[BoundModel], num_inference_steps: int, window: range, first: int) -> None:
        self.models = own_copies(models, plain(num_inference_steps), combined=True)
        self.target, self.count = self.models[0], len(self.models)
        self.scheduler = self.models[0].scheduler
        self.types = [model.scheduler.config.prediction_type for model in self.models]
        self.scheduler.register_to_config(prediction_type="epsilon")
        self.window, self.x_T = window, self.models[first].latents * self.scheduler.init_noise_sigma
        self.evaluations = {model.name: 0 for model in self.models}
        self.predicted: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    @undisturbed()
    def through(self, advance: Advance, callback: Callback | None) -> SamplingResult:
        """All steps: in the window by ``advance``, else the target's."""
        x, stopped = self.x_T, False
        for i, t in enumerate(self.scheduler.timesteps.tolist()):
            self.predicted = {}
            entering = x
            x = advance(x, i) if i in self.window else self.ddim(x, self.guided(0, x, i), i)
            if callback is not None:
                name = self.target.name
                step = Step(i, t, {name: entering}, dict(self.predicted), {name: x}, {name: x})
                stopped = callback(step) is True
                x = step.leaving[name]
            if stopped:
                break
        return SamplingResult({self.target.name: x}, finite_samples(x), self.evaluations, stopped)

    def guided(self, k: int, x: torch.Tensor, i: int) -> torch.Tensor:
        """Model k's guided ε in step i: one evaluation."""
        model, t = self.models[k], self.scheduler.timesteps[i].item()
        return self._seen(k, self._epsilon(k, model.denoiser(x, t, i), x, i))

    def halves(self, k: int, x: torch.Tensor, i: int) -> Halves:
        """Model k's two ε in step i: one evaluation. Raises InputError where its denoiser has none apart."""
        denoiser, t = self.models[k].denoiser, self.scheduler.timesteps[i].item()
        if not isinstance(denoiser, HalvedDenoiser):
            raise InputError(f"{self.models[k].name}'s denoiser has no halves of guidance apart", field="models")
        u, c = (self._epsilon(k, half, x, i) for half in denoiser.halves(x, t, i))
        self._seen(k, u + denoiser.guidance_scale * (c - u))
        return Halves(u, c, denoiser.guidance_scale)

    def ddim(self, x: torch.Tensor, epsilon: torch.Tensor, i: int) -> torch.Tensor:
        """x_{t−1} of DDIM's step i along ε."""
        stepped: torch.Tensor = self.scheduler.step(epsilon, self.scheduler.timesteps[i], x, return_dict=False)[0]
        return stepped.to(x.dtype)

    def reverse(self, i: int) -> Reverse:
        """The numbers of the SDE's step i."""
        here, there = (alpha_bar.double().item() for alpha_bar in alpha_bars(self.scheduler, i))
        before, after = (1 - here) / here, (1 - there) / there  # σ², σ′²
        sigma = before**0.5
        spread = (after * (1 - after / before)) ** 0.5
        return Reverse(sigma, (after - before) / (2 * sigma), spread, here**0.5, there**0.5)

    def noise(self, x: torch.Tensor) -> torch.Tensor:
        """Standard normal numbers of x's shape, each sample's from its own generator."""
        made = self.target.generators
        if made is None:
            return torch.randn_like(x)
        rows = (torch.randn(x.shape[1:], generator=one, dtype=x.dtype, device=one.device) for one in made)
        return torch.stack(list(rows)).to(x.device)

    def uniform(self, count: int) -> torch.Tensor:
        """(B, count) numbers in [0, 1), each sample's from its own generator."""
        made: Sequence[torch.Generator | None] = self.target.generators or [None] * len(self.x_T)
        rows = (
            torch.rand(count, generator=one, device=one.device if one else None, dtype=torch.float64) for one in made
        )
        return torch.stack(list(rows)).to(self.x_T.device)

    def _epsilon(self, k: int, prediction: torch.Tensor, x: torch.Tensor, i: int) -> torch.Tensor:
        alpha_bar = alpha_bars(self.scheduler, i)[0].to(x.device)
        return to_epsilon(prediction.to(x.dtype), x, alpha_bar, self.types[k])

    def _seen(self, k: int, epsilon: torch.Tensor) -> torch.Tensor:
        self.evaluations[self.models[k].name] += 1
        self.predicted[self.models[k].name] = epsilon
        return epsilon
