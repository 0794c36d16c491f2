"""Algorithm 2: T steps over N models that share a latent space, aggregated in a window; then the target alone."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from diffusers import DDIMScheduler

from amdm.aggregation import (
    AggregationConfig,
    Mean,
    ddpm_mean,
    manifold_optimisation,
    sample_norm,
    spherical_aggregation,
    to_epsilon,
)
from amdm.errors import InputError
from amdm.models.control import Denoiser
from amdm.plain_number import plain
from amdm.process_state import undisturbed

_States = dict[int, torch.Tensor]
StepGeometry = dict[str, dict[str, list[float]]]
"""By model name, then "state_norm" or "distance_to_mean": one number a sample."""


@dataclass
class BoundModel:
    """One model of a sampling run, its conditions bound and its noise drawn.

    Args:
        name: its name among the models of the run.
        denoiser: (x, t, i) → guided prediction in the scheduler's prediction type.
        scheduler: a diffusers scheduler; DDIM where several models are aggregated. :func:`aggregate_sample` works on
            copies, and leaves one here with its timesteps set: a scheduler may be shared.
        latents: standard normal x_T (B, C, h, w), float32 or float64, which the states keep.
        generators: one a sample, for schedulers and compositions that draw noise (ancestral ones, SDE solvers); a run
            starts from their state and leaves it. Without them such a one draws from torch's global generator.
        inside: (B, 1, h, w), 1 where the layout places an instance and 0 elsewhere; for compositions that read it.
    """

    name: str
    denoiser: Denoiser
    scheduler: Any
    latents: torch.Tensor
    generators: Sequence[torch.Generator] | None = None
    inside: torch.Tensor | None = None


@dataclass
class Step:
    """What happened in one step; tensors are (B, C, h, w), by model name, absent for a model that was not evaluated.

    entering: x_t. prediction: guided, in the model's prediction type. stepped: after the model's own scheduler step.
    leaving: after aggregation (equal to stepped outside the window). mixed: x′, and mean: μ_i, only where aggregated.
    Where all models share one state, it stands under the target's name, and predictions are ε.
    """

    index: int
    timestep: float
    entering: dict[str, torch.Tensor] = field(default_factory=dict)
    prediction: dict[str, torch.Tensor] = field(default_factory=dict)
    stepped: dict[str, torch.Tensor] = field(default_factory=dict)
    leaving: dict[str, torch.Tensor] = field(default_factory=dict)
    mixed: torch.Tensor | None = None
    mean: dict[str, torch.Tensor] = field(default_factory=dict)

    def geometry(self) -> StepGeometry:
        """For each model ‖x_i‖/√dim and, where aggregated, ‖x′ − μ_i‖/√dim, one number a sample.

        A setting makes sense while state_norm stays near what the schedule expects (1 at high noise) and
        η/√dim stays below distance_to_mean: beyond it the pull-back overshoots.
        """
        shown: StepGeometry = {}
        for name, x in self.leaving.items():
            root = x[0].numel() ** 0.5
            shown[name] = {"state_norm": (sample_norm(x).flatten() / root).tolist()}
            if self.mixed is not None and name in self.mean:
                distance = sample_norm(self.mixed - self.mean[name]).flatten() / root
                shown[name]["distance_to_mean"] = distance.tolist()
        return shown


@dataclass
class SamplingResult:
    """latents: final state of each model (an auxiliary's is where it stopped). finite: (B,), whether the target's state
    is free of NaN and infinity. evaluations: guided calls by model. stopped: a callback asked to stop before the end.
    geometry: :meth:`Step.geometry` of steps 0, 1, …, where recording was asked for."""

    latents: dict[str, torch.Tensor]
    finite: torch.Tensor
    evaluations: dict[str, int]
    stopped: bool = False
    geometry: tuple[StepGeometry, ...] = ()


Callback = Callable[[Step], bool | None]
"""Called after each step; what it puts into ``step.leaving`` is where the models go on. Returning True stops."""


class Mixing(NamedTuple):
    """What is mixed in step ``i``: of the models that can reach the target in it, the target first, each its own.

    states: x_{t−1}, (B, C, h, w). coefficients: c of equation 9. schedulers; entering: x_t; predictions: guided, in the
    prediction type of the scheduler.
    """

    i: int
    states: list[torch.Tensor]
    coefficients: list[float]
    schedulers: list[Any]
    entering: list[torch.Tensor]
    predictions: list[torch.Tensor]


Mix = Callable[[Mixing], torch.Tensor]
"""x′, (B, C, h, w)."""


@torch.no_grad()
@undisturbed()
def aggregate_sample(
    models: Sequence[BoundModel],
    num_inference_steps: int,
    config: AggregationConfig | None = None,
    callback: Callback | None = None,
    record: bool = False,
    finish_all: bool = False,
    mix: Mix | None = None,
) -> SamplingResult:
    """Sample with the first model as target. Calls do not share state: threads may sample with the same models.

    A model is evaluated only in steps whose result can still reach the target: T + s·(N − 1) evaluations a sample for
    the paper's semantics, one more for each auxiliary for the authors'. ``record`` keeps the geometry of every step;
    ``finish_all`` evaluates every model in every step, so that each one's final state is a picture of its own. ``mix``
    stands in place of equation 9.

    Raises:
        InputError: before any model runs, for models or settings that do not fit together.
    """
    models, window = _ready(models, plain(num_inference_steps), config)
    timesteps = models[0].scheduler.timesteps.tolist()
    reaching = _active(len(timesteps), config)
    active = [list(range(len(models)))] * len(timesteps) if finish_all else reaching
    told, before = _Told(models, callback, record), dict[int, _Before]()
    x = [model.latents * model.scheduler.init_noise_sigma for model in models]  # x_T
    for i, t in enumerate(timesteps):
        x_t, eps, mu, x_prime = list(x), _States(), _States(), None
        for k in active[i]:
            eps[k] = _predict(models[k], x_t[k], i)  # ε_θk(x_t, t, y_k)
            x[k] = _step(models[k], x_t[k], eps[k], i)  # x_{t−1} ~ p_θk(x_{t−1} | x_t, y_k)
        stepped = {k: x[k] for k in active[i]}
        if config is not None and i in window:
            c, eta = config.mixing(), config.eta_in_latent_units(x[0][0].numel())
            coefficients, states = [c[k] for k in reaching[i]], [x[k] for k in reaching[i]]
            if mix is None:
                x_prime = spherical_aggregation(states, coefficients, config.mix_norm)  # (9)
            else:
                of = [(models[k].scheduler, x_t[k], eps[k]) for k in reaching[i]]
                x_prime = mix(Mixing(i, states, coefficients, *map(list, zip(*of, strict=True))))
            if config.pull_back:
                for k in stepped:
                    mu[k] = MEANS[config.mean](models[k].scheduler, x_t[k], x[k], before.get(k))
                    x[k] = manifold_optimisation(x_prime, mu[k], eta[k])  # (10)
            else:
                x = [x_prime.clone() for _ in models]
        x = told.of_step(i, t, x_t, eps, stepped, x, x_prime, mu)
        if told.stopped:
            break
        before = {k: _Before(t, x_t[k], eps[k]) for k in eps}
    return told.result(x)


class _Before(NamedTuple):
    """One model in the step before: its t, x_t and ε."""

    t: float
    x_t: torch.Tensor
    eps: torch.Tensor


def _mean_of_the_step_before(
    scheduler: Any, x_t: torch.Tensor, stepped: torch.Tensor, before: _Before | None
) -> torch.Tensor:
    """The authors' μ: x entering this step, ε and the single-step α of the step before."""
    assert before is not None  # the window of this mean starts at step 1
    alpha_bar = scheduler.alphas_cumprod.to(x_t.device)[before.t]
    alpha = scheduler.alphas.to(x_t.device)[before.t]
    epsilon = to_epsilon(before.eps, before.x_t, alpha_bar, scheduler.config.prediction_type)
    return ddpm_mean(x_t, epsilon, alpha, alpha_bar)


MEANS: dict[Mean, Callable[[Any, torch.Tensor, torch.Tensor, _Before | None], torch.Tensor]] = {
    "ddim": lambda scheduler, x_t, stepped, before: stepped,
    "ddpm_previous": _mean_of_the_step_before,
}
"""μ_k(x_t, t, y_k) of equation 10, by :attr:`AggregationConfig.mean`: of (scheduler, x_t, x_{t−1}, the step before)."""


class _Told:
    """What a run tells: each step to its callback, which may change and stop it, and all of them to the result."""

    def __init__(self, models: Sequence[BoundModel], callback: Callback | None, record: bool) -> None:
        self.names, self.callback, self.record = [model.name for model in models], callback, record
        self.evaluations, self.stopped = dict.fromkeys(self.names, 0), False
        self.geometry: list[StepGeometry] = []

    def of_step(
        self,
        i: int,
        t: float,
        x_t: list[torch.Tensor],
        eps: _States,
        stepped: _States,
        x: list[torch.Tensor],
        x_prime: torch.Tensor | None,
        mu: _States,
    ) -> list[torch.Tensor]:
        """The states that the models go on from."""
        entering, prediction, own, mean = map(self._named, (dict(enumerate(x_t)), eps, stepped, mu))
        step = Step(i, t, entering, prediction, own, mixed=x_prime, mean=mean)
        step.leaving = {name: x[k] for k, name in enumerate(self.names) if k in stepped or x[k] is not x_t[k]}
        for name in step.stepped:
            self.evaluations[name] += 1
        if self.record:
            self.geometry.append(step.geometry())
        self.stopped = self.callback is not None and self.callback(step) is True
        return [step.leaving.get(name, x[k]) for k, name in enumerate(self.names)]

    def result(self, x: list[torch.Tensor]) -> SamplingResult:
        """After the last step."""
        latents = dict(zip(self.names, x, strict=True))
        return SamplingResult(latents, finite_samples(x[0]), self.evaluations, self.stopped, tuple(self.geometry))

    def _named(self, by_index: _States) -> dict[str, torch.Tensor]:
        return {self.names[k]: one for k, one in by_index.items()}


def planned_evaluations(models: int, num_inference_steps: int, config: AggregationConfig | None) -> list[int]:
    """Evaluations a sample of each model, the target first: what :func:`aggregate_sample` will count."""
    active = _active(num_inference_steps, config)
    return [sum(k in of_step for of_step in active) for k in range(models)]


def _active(T: int, config: AggregationConfig | None) -> list[list[int]]:
    """For each step the models, by index, whose own step can reach the target (0): after the window the target alone,
    before its end those with a weight in x′, and the target, but where its state becomes x′ and has no weight in it."""
    if config is None:
        return [[0]] * T
    window = config.steps(T)
    mixed = [k for k, c in enumerate(config.mixing()) if c > 0]
    with_target = sorted({0, *mixed})
    inside = with_target if config.pull_back else mixed
    return [inside if i in window else with_target if i < window.stop else [0] for i in range(T)]


def _predict(model: BoundModel, x: torch.Tensor, i: int) -> torch.Tensor:
    """The guided prediction at the i-th timestep, in x's precision. A step may have several (Heun's has two)."""
    t, count = model.scheduler.timesteps[i], len(model.scheduler.timesteps)
    step = i * model.scheduler.num_inference_steps // count
    return model.denoiser(model.scheduler.scale_model_input(x, t), t.item(), step).to(x.dtype)


def alpha_bars(scheduler: Any, i: int) -> tuple[torch.Tensor, torch.Tensor]:
    """ᾱ_t of DDIM's step i, and ᾱ_{t−1}, of the state that it leads to; both ()."""
    t = int(scheduler.timesteps[i])
    before = t - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    after_last = torch.as_tensor(scheduler.final_alpha_cumprod)
    return scheduler.alphas_cumprod[t], scheduler.alphas_cumprod[before] if before >= 0 else after_last


def _step(model: BoundModel, x: torch.Tensor, prediction: torch.Tensor, i: int) -> torch.Tensor:
    """x_{t−1} of the model's own scheduler."""
    drawn = {} if model.generators is None else {"generator": list(model.generators)}
    t = model.scheduler.timesteps[i]
    return model.scheduler.step(prediction, t, x, return_dict=False, **drawn)[0].to(x.dtype)


def _ready(models: Sequence[BoundModel], T: int, config: AggregationConfig | None) -> tuple[list[BoundModel], range]:
    """:func:`own_copies` of a run that can start, and its aggregated steps. Raises InputError."""
    _check_names(models)
    if config is None and len(models) > 1:
        raise InputError("is needed to sample with several models", field="aggregation")
    window = range(0)
    if config is not None:
        config.check_models(len(models))
        window = config.steps(T)
    return own_copies(models, T, combined=config is not None), window


def own_copies(models: Sequence[BoundModel], num_inference_steps: int, combined: bool) -> list[BoundModel]:
    """Copies of the models that nobody else steps, their timesteps set.

    Args:
        combined: the models' states or predictions are to be combined, so that all must follow one DDIM schedule.

    Raises:
        InputError: for models that cannot be sampled with, together or at all.
    """
    _check_names(models)
    run = [_own(model) for model in models]
    for model in run:
        _check_latents(model, run[0])
        _set_timesteps(model, num_inference_steps)
    for model in run if combined else ():
        _check_aggregable(model, run[0])
    for theirs, ours in zip(models, run, strict=True):
        theirs.scheduler = copy.deepcopy(ours.scheduler)
    return run


def _own(model: BoundModel) -> BoundModel:
    """The model with a scheduler, and generators where that takes them, that nobody else steps."""
    takes = "generator" in inspect.signature(model.scheduler.step).parameters
    generators = [one.clone_state() for one in model.generators] if takes and model.generators is not None else None
    return replace(model, scheduler=copy.deepcopy(model.scheduler), generators=generators)


def _check_names(models: Sequence[BoundModel]) -> None:
    if not models:
        raise InputError("there is none to sample with", field="models")
    if len({model.name for model in models}) != len(models):
        raise InputError("two have one name", field="models")


def _check_latents(model: BoundModel, target: BoundModel) -> None:
    x, first = model.latents, target.latents
    if x.dim() != 4 or x.dtype not in (torch.float32, torch.float64):
        form = f"{tuple(x.shape)} of {x.dtype}"
        raise InputError(f"{model.name} has {form}; needs (B, C, h, w) of float32 or float64", field="latents")
    if (x.shape, x.dtype, x.device) != (first.shape, first.dtype, first.device):
        ours, theirs = (f"{tuple(y.shape)} {y.dtype} on {y.device}" for y in (x, first))
        raise InputError(f"{model.name} has {ours}, {target.name} has {theirs}", field="latents")


def _set_timesteps(model: BoundModel, num_inference_steps: int) -> None:
    most = model.scheduler.config.num_train_timesteps
    if isinstance(num_inference_steps, bool) or not isinstance(num_inference_steps, int):
        raise InputError(f"is {num_inference_steps!r}; it must be an integer", field="num_inference_steps")
    if not 1 <= num_inference_steps <= most:
        raise InputError(f"is {num_inference_steps}; it must lie in 1 … {most}", field="num_inference_steps")
    try:
        model.scheduler.set_timesteps(num_inference_steps)
    except ValueError as error:  # LCM has fewer steps than it was trained with
        kind = type(model.scheduler).__name__
        raise InputError(f"{kind} has no {num_inference_steps}: {error}", field="num_inference_steps") from error
    if (first := float(model.scheduler.timesteps.max())) >= most:
        what = f"is {num_inference_steps}, which would begin at {first:g}; models know 0 … {most - 1}"
        raise InputError(f"{what}: take fewer steps", field="num_inference_steps")


def _check_aggregable(model: BoundModel, target: BoundModel) -> None:
    """States can be mixed, and models stepped from changed states: DDIM keeps variance, and nothing between steps."""
    scheduler, first = model.scheduler, target.scheduler
    if not isinstance(scheduler, DDIMScheduler):
        raise InputError(f"{model.name} has {type(scheduler).__name__}; aggregation needs DDIM", field="scheduler")
    if scheduler.config.prediction_type not in ("epsilon", "v_prediction"):
        raise InputError(f"{model.name} predicts {scheduler.config.prediction_type}", field="prediction_type")
    trained, as_first = scheduler.alphas_cumprod.double(), first.alphas_cumprod.double()
    if not (torch.equal(trained, as_first) and torch.equal(scheduler.timesteps, first.timesteps)):
        raise InputError(f"{model.name} and {target.name} follow different schedules", field="scheduler")


def finite_samples(x: torch.Tensor) -> torch.Tensor:
    """Which samples are free of NaN and infinity: (B, …) → bool (B,)."""
    return torch.isfinite(x).flatten(1).all(1)
