"""AMDM's mathematics on tensors: spherical aggregation, manifold optimisation, and the means they pull back to.

Symbols are the paper's (arXiv:2410.01262): x_i the state of model i, x′ their aggregate, μ_i model i's mean, w the
weights, η_i the step sizes, s the number of aggregated steps, ᾱ the cumulative product of the schedule's α.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import torch

from amdm.errors import InputError

EtaUnit = Literal["latent", "sqrt_dim"]
InitialNoise = Literal["shared", "separate"]
Mean = Literal["ddim", "ddpm_previous"]
Coefficients = Literal["nested", "official"]
MixNorm = Literal["as_is", "preserving"]


@dataclass(frozen=True)
class AggregationConfig:
    """How N models are aggregated. Each difference between the paper and the authors' code is one field.

    Args:
        s: number of aggregated steps; 0 leaves the target alone.
        weights: N − 1 numbers in [0, 1]; with two models x′ = w·x₁ + √(1 − w²)·x₂, x₁ being the target.
        eta: N step sizes of the pull-back, target first; none without pull_back.
        eta_unit: "latent" (as printed in the paper for 4×64×64 latents) or "sqrt_dim" (η divided by √dim, which carries
            over to other latent sizes: 45 and 55 become 0.3516 and 0.4297).
        initial_noise: one x_T for all models, or a separate one for each.
        first_step: the window is i = first_step … first_step + s − 1; the paper starts at 0, the authors' code at 1.
        mean: μ_i is this step's DDIM mean ("ddim"), or the authors' one-step DDPM mean of the state entering the step,
            with ε and α of the step before ("ddpm_previous").
        coefficients: for three models: "nested" (squares sum to 1) or "official" (the third carries an extra
            √(1 − w₁²)).
        mix_norm: "as_is", or "preserving": scale x′ to √(Σ cᵢ²‖xᵢ‖²), its norm if the states were unrelated.
        pull_back: equation 10 for every model; without it every model goes on from x′.

    Raises:
        InputError: for a value outside its range, or one that another field makes meaningless.
    """

    s: int
    weights: tuple[float, ...]
    eta: tuple[float, ...]
    eta_unit: EtaUnit = "latent"
    initial_noise: InitialNoise = "shared"
    first_step: int = 0
    mean: Mean = "ddim"
    coefficients: Coefficients = "nested"
    mix_norm: MixNorm = "as_is"
    pull_back: bool = True

    def __post_init__(self) -> None:
        for name in ("s", "first_step"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InputError(f"is {value!r}; it must be an integer of 0 or more", field=name)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"is {getattr(self, name)!r}; it must be one of {', '.join(choices)}", field=name)
        if not isinstance(self.pull_back, bool):
            raise InputError(f"is {self.pull_back!r}; it must be true or false", field="pull_back")
        _check_numbers("weights", self.weights, 1.0)
        _check_numbers("eta", self.eta, math.inf)
        if self.eta and not self.pull_back:
            raise InputError("has no effect without the pull-back; leave it empty", field="eta")
        if self.mean == "ddpm_previous" and self.first_step == 0:
            raise InputError("the authors' mean needs a step before it; use first_step 1 or more", field="first_step")

    def steps(self, num_inference_steps: int) -> range:
        """The aggregated step indices. Raises InputError where they go beyond T."""
        end = self.first_step + self.s
        if self.s and end > num_inference_steps:
            window = f"steps {self.first_step} to {end - 1} (counted from 0) are aggregated"
            raise InputError(
                f"{window}, but there are {num_inference_steps}: take more steps or a smaller s", field="s"
            )
        return range(self.first_step, end) if self.s else range(0)

    def check_models(self, count: int) -> None:
        """Raise InputError unless weights and step sizes fit ``count`` models."""
        if len(self.weights) != count - 1:
            raise InputError(f"{len(self.weights)} weights for {count} models; needs {count - 1}", field="weights")
        if self.pull_back and len(self.eta) != count:
            raise InputError(f"{len(self.eta)} step sizes for {count} models", field="eta")
        mixing_coefficients(self.weights, self.coefficients)

    def eta_in_latent_units(self, dim: int) -> tuple[float, ...]:
        """η as lengths in a latent of ``dim`` numbers."""
        factor = math.sqrt(dim) if self.eta_unit == "sqrt_dim" else 1.0
        return tuple(factor * eta for eta in self.eta)


_CHOICES: dict[str, tuple[str, ...]] = {
    "eta_unit": get_args(EtaUnit),
    "initial_noise": get_args(InitialNoise),
    "mean": get_args(Mean),
    "coefficients": get_args(Coefficients),
    "mix_norm": get_args(MixNorm),
}


def _check_numbers(name: str, values: tuple[float, ...], most: float) -> None:
    if not isinstance(values, tuple):
        raise InputError(f"is {values!r}; it must be a tuple of numbers", field=name)
    for k, value in enumerate(values):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value <= most and math.isfinite(value)):
            bounds = "a finite number of 0 or more" if math.isinf(most) else "a number in [0, 1]"
            raise InputError(f"is {value!r}; it must be {bounds}", field=f"{name}[{k}]")


def paper(s: int, weights: Sequence[float], eta: Sequence[float], **overrides: Any) -> AggregationConfig:
    """Algorithm 1 to the letter, but for ``overrides``, fields of :class:`AggregationConfig`."""
    return _override(AggregationConfig(s, tuple(weights), tuple(eta)), overrides)


def official(s: int, weights: Sequence[float], eta: Sequence[float], **overrides: Any) -> AggregationConfig:
    """What the authors' public code computes (interactmigc.py, interactmigcip.py), but for ``overrides``."""
    config = AggregationConfig(
        s,
        tuple(weights),
        tuple(eta),
        initial_noise="separate",
        first_step=1,
        mean="ddpm_previous",
        coefficients="official",
    )
    return _override(config, overrides)


def _override(config: AggregationConfig, overrides: dict[str, Any]) -> AggregationConfig:
    for name in overrides.keys() - {each.name for each in fields(config)}:
        raise InputError("is no field of the aggregation", field=name)
    return replace(config, **overrides)


SEMANTICS = {"paper": paper, "official": official}


def mixing_coefficients(weights: Sequence[float], form: Coefficients) -> tuple[float, ...]:
    """c₁ … c_N with x′ = Σ cᵢxᵢ.

    nested: w₂(w₁x₁ + √(1−w₁²)x₂) + √(1−w₂²)x₃ and so on, Σ c² = 1 (equation 9, extended).
    official: for three models w₁w₂, √(1−w₁²)w₂, √(1−w₁²)√(1−w₂²); for two the same as nested.
    """
    coefficients = [1.0]
    for w in weights:
        coefficients = [w * c for c in coefficients] + [math.sqrt(1 - w * w)]
    if form == "official" and len(weights) > 1:
        if len(weights) > 2:
            raise InputError("the authors' code has no form for more than three models", field="coefficients")
        coefficients[2] *= math.sqrt(1 - weights[0] ** 2)
    return tuple(coefficients)


def spherical_aggregation(
    xs: Sequence[torch.Tensor], coefficients: Sequence[float], preserve_norm: bool = False
) -> torch.Tensor:
    """x′ = Σ cᵢxᵢ (equation 9). States (B, C, h, w) → (B, C, h, w); norms, where kept, are of one sample."""
    mixed = sum((c * x for c, x in zip(coefficients, xs, strict=True)), torch.zeros_like(xs[0]))
    if preserve_norm:
        squared = [(c * sample_norm(x)) ** 2 for c, x in zip(coefficients, xs, strict=True)]
        mixed = mixed * (sum(squared, torch.zeros_like(squared[0])).sqrt() / _divisor(sample_norm(mixed)))
    return mixed


def manifold_optimisation(x_prime: torch.Tensor, mu: torch.Tensor, eta: float) -> torch.Tensor:
    """x_i = x′ − η·(x′ − μ_i)/‖x′ − μ_i‖ (equation 10), the norm of one sample.

    A sample with x′ = μ_i, where the direction is undefined, keeps x′. As in the equation, nothing limits η to the
    distance.
    """
    away = x_prime - mu
    return x_prime - eta * away / _divisor(sample_norm(away))  # rounded as the recorded cases are


def ddpm_mean(x: torch.Tensor, epsilon: torch.Tensor, alpha: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """(x − (1−α)/√(1−ᾱ)·ε)/√α: DDPM's mean over one training step, which the authors' code pulls back to."""
    of_epsilon = (1 - alpha) / (1 - alpha_bar).sqrt() / alpha.sqrt()  # two factors: rounded as the recorded cases are
    return (1 / alpha.sqrt()) * x - of_epsilon * epsilon


def to_epsilon(
    prediction: torch.Tensor, x: torch.Tensor, alpha_bar: torch.Tensor, prediction_type: str
) -> torch.Tensor:
    """ε from a model's prediction at x: "epsilon" itself, or "v_prediction" (ε = √ᾱ·v + √(1−ᾱ)·x)."""
    if prediction_type == "epsilon":
        return prediction
    if prediction_type == "v_prediction":
        return alpha_bar.sqrt() * prediction + (1 - alpha_bar).sqrt() * x
    raise InputError(f"{prediction_type!r} is neither epsilon nor v_prediction", field="prediction_type")


def sample_norm(x: torch.Tensor) -> torch.Tensor:
    """‖x‖₂ of each sample: (B, …) → (B, 1, …)."""
    norm: torch.Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())), keepdim=True)
    return norm


def _divisor(norm: torch.Tensor) -> torch.Tensor:
    """The norm, with 1 for 0: a zero vector divided by it stays zero, not NaN."""
    return torch.where(norm == 0, torch.ones_like(norm), norm)
