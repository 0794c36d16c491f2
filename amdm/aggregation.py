"""AMDM's mathematics on tensors: spherical aggregation, manifold optimisation, and the means they pull back to.

Symbols are the paper's (arXiv:2410.01262): x_i the state of model i, x′ their aggregate, μ_i model i's mean, w the
weights, η_i the step sizes, s the number of aggregated steps, ᾱ the cumulative product of the schedule's α.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from amdm.errors import InputError, instead
from amdm.plain_number import plain

if TYPE_CHECKING:  # the command lines read settings, and must start without it
    import torch

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
        mix_norm: what becomes of the norm where states are related: "as_is" nothing; "preserving" scales x′ to
            √(Σ cᵢ²‖xᵢ‖²), its norm if they were unrelated.
        pull_back: equation 10 for every model; without it every model goes on from x′.

    Numbers may be NumPy's or torch's, ``weights`` and ``eta`` arrays or tensors; they are kept as Python's.

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
            value = plain(getattr(self, name))
            object.__setattr__(self, name, value)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InputError(f"is {value!r}; it must be an integer of 0 or more", field=name)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                given = getattr(self, name)
                raise InputError(f"is {given!r}; {instead(given, choices)}", field=name)
        if not isinstance(self.pull_back, bool):
            raise InputError(f"is {self.pull_back!r}; it must be true or false", field="pull_back")
        object.__setattr__(self, "weights", _checked_numbers("weights", self.weights, 1.0))
        object.__setattr__(self, "eta", _checked_numbers("eta", self.eta, math.inf))
        if self.eta and not self.pull_back:
            raise InputError("has no effect without the pull-back; leave it empty", field="eta")
        if self.mean == "ddpm_previous" and self.first_step == 0:
            raise InputError("the authors' mean needs a step before it; use first_step 1 or more", field="first_step")

    def steps(self, num_inference_steps: int) -> range:
        """The aggregated step indices. Raises InputError where they go beyond T."""
        return aggregated_steps(self.first_step, self.s, num_inference_steps)

    def check_models(self, count: int) -> None:
        """Raise InputError unless weights and step sizes fit ``count`` models."""
        if len(self.weights) != count - 1:
            raise InputError(f"{len(self.weights)} weights for {count} models; needs {count - 1}", field="weights")
        if self.pull_back and len(self.eta) != count:
            raise InputError(f"{len(self.eta)} step sizes for {count} models", field="eta")
        self.mixing()

    def mixing(self) -> tuple[float, ...]:
        """c₁ … c_N of x′ = Σ cₖxₖ, the target first."""
        return mixing_coefficients(self.weights, self.coefficients)

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


def _checked_numbers(name: str, values: Any, most: float) -> tuple[float, ...]:
    if hasattr(values, "tolist"):  # an array or a tensor
        values = tuple(values.reshape(-1).tolist())
    if not isinstance(values, tuple):
        raise InputError(f"is {values!r}; it must be a tuple of numbers", field=name)
    values = tuple(plain(value) for value in values)
    for k, value in enumerate(values):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value <= most and math.isfinite(value)):
            bounds = "a finite number of 0 or more" if math.isinf(most) else "a number in [0, 1]"
            raise InputError(f"is {value!r}; it must be {bounds}", field=f"{name}[{k}]")
    return values


def aggregated_steps(first_step: int, s: int, num_inference_steps: int) -> range:
    """first_step … first_step + s − 1, counted from 0. Raises InputError where they go beyond T."""
    end = first_step + s
    if s and end > num_inference_steps:
        window = f"steps {first_step} to {end - 1} (counted from 0) are aggregated"
        raise InputError(f"{window}, but there are {num_inference_steps}: take more steps or a smaller s", field="s")
    return range(first_step, end) if s else range(0)


def paper(s: int, weights: Sequence[float], eta: Sequence[float], **overrides: Any) -> AggregationConfig:
    """Algorithm 1 to the letter, but for ``overrides``, fields of :class:`AggregationConfig`.

    Raises:
        InputError: as that class, and for an override that is none of its fields.
    """
    return _override(AggregationConfig(s, tuple(weights), tuple(eta)), overrides)


def official(s: int, weights: Sequence[float], eta: Sequence[float], **overrides: Any) -> AggregationConfig:
    """What the authors' public code computes (interactmigc.py, interactmigcip.py), but for ``overrides``.

    Raises:
        InputError: as :func:`paper`.
    """
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
        raise InputError("is not a field of the aggregation", field=name)
    return replace(config, **overrides)


SEMANTICS = {"paper": paper, "official": official}


def mixing_coefficients(weights: Sequence[float], form: Coefficients) -> tuple[float, ...]:
    """c₁ … c_N with x′ = Σ cᵢxᵢ.

    nested: w₂(w₁x₁ + √(1−w₁²)x₂) + √(1−w₂²)x₃ and so on, Σ c² = 1 (equation 9, extended).
    official: for three models w₁w₂, √(1−w₁²)w₂, √(1−w₁²)√(1−w₂²); for two the same as nested.

    Args:
        weights: N − 1 numbers in [0, 1].

    Raises:
        InputError: "official" with more than three models.

    >>> mixing_coefficients((0.6,), "nested")
    (0.6, 0.8)
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
    xs: Sequence[torch.Tensor], coefficients: Sequence[float], mix_norm: MixNorm = "as_is"
) -> torch.Tensor:
    """x′ = Σ cᵢxᵢ (equation 9). States (B, C, h, w) → (B, C, h, w); norms are of one sample."""
    mixed = sum((c * x for c, x in zip(coefficients, xs, strict=True)), xs[0].new_zeros(xs[0].shape))
    if mix_norm == "preserving":
        squared = [(c * sample_norm(x)) ** 2 for c, x in zip(coefficients, xs, strict=True)]
        mixed = mixed * (sum(squared, squared[0].new_zeros(squared[0].shape)).sqrt() / divisor(sample_norm(mixed)))
    return mixed


def manifold_optimisation(x_prime: torch.Tensor, mu: torch.Tensor, eta: float) -> torch.Tensor:
    """x_i = x′ − η·(x′ − μ_i)/‖x′ − μ_i‖ (equation 10), the norm of one sample. States (B, C, h, w) → (B, C, h, w).

    A sample with x′ = μ_i, where the direction is undefined, keeps x′. As in the equation, nothing limits η to the
    distance.
    """
    away = x_prime - mu
    return x_prime - eta * away / divisor(sample_norm(away))  # rounded as the recorded cases are


def ddpm_mean(x: torch.Tensor, epsilon: torch.Tensor, alpha: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """(x − (1−α)/√(1−ᾱ)·ε)/√α: DDPM's mean over one training step, which the authors' code pulls back to.

    x and ε (B, C, h, w), α and ᾱ (), between 0 and 1.
    """
    of_epsilon = (1 - alpha) / (1 - alpha_bar).sqrt() / alpha.sqrt()  # two factors: rounded as the recorded cases are
    return (1 / alpha.sqrt()) * x - of_epsilon * epsilon


def to_epsilon(
    prediction: torch.Tensor, x: torch.Tensor, alpha_bar: torch.Tensor, prediction_type: str
) -> torch.Tensor:
    """ε from a model's prediction at x: "epsilon" itself, or "v_prediction" (ε = √ᾱ·v + √(1−ᾱ)·x).

    prediction and x (B, C, h, w), ᾱ (). Raises InputError for another type of prediction.
    """
    if prediction_type == "epsilon":
        return prediction
    if prediction_type == "v_prediction":
        return alpha_bar.sqrt() * prediction + (1 - alpha_bar).sqrt() * x
    raise InputError(f"{prediction_type!r} is neither epsilon nor v_prediction", field="prediction_type")


def sample_norm(x: torch.Tensor) -> torch.Tensor:
    """‖x‖₂ of each sample: (B, …) → (B, 1, …)."""
    from torch.linalg import vector_norm

    norm: torch.Tensor = vector_norm(x, dim=tuple(range(1, x.dim())), keepdim=True)
    return norm


def divisor(norm: torch.Tensor) -> torch.Tensor:
    """The norm, with 1 for 0: a zero vector divided by it stays zero, not NaN."""
    return norm.masked_fill(norm == 0, 1)
