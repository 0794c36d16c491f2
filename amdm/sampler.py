"""T steps over N models that share a latent space: aggregation in a window, then the target alone (Algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import DDIMScheduler

from amdm.aggregation import (
    AggregationConfig,
    ddpm_mean,
    manifold_optimisation,
    mixing_coefficients,
    sample_norm,
    spherical_aggregation,
    to_epsilon,
)
from amdm.errors import InputError
from amdm.models.control import Denoiser

Geometry = dict[str, dict[str, list[float]]]
"""By model name, then "state_norm" or "distance_to_mean": one number a sample."""


@dataclass
class Branch:
    """One model in a sampling run.

    Args:
        name: its name among the models of the run.
        denoiser: (x, t, i) → guided prediction in the scheduler's prediction type.
        scheduler: a diffusers scheduler of its own; DDIM where several models are aggregated.
        latents: standard normal x_T (B, C, h, w), float32 or float64, which the states keep.
    """

    name: str
    denoiser: Denoiser
    scheduler: Any
    latents: torch.Tensor


@dataclass
class Step:
    """What happened in one step; tensors are (B, C, h, w), by model name, absent for a model that was not evaluated.

    entering: x_t. prediction: guided, in the model's prediction type. stepped: after the model's own scheduler step.
    leaving: after aggregation (equal to stepped outside the window). mixed: x′, and mean: μ_i, only where aggregated.
    """

    index: int
    timestep: float
    entering: dict[str, torch.Tensor] = field(default_factory=dict)
    prediction: dict[str, torch.Tensor] = field(default_factory=dict)
    stepped: dict[str, torch.Tensor] = field(default_factory=dict)
    leaving: dict[str, torch.Tensor] = field(default_factory=dict)
    mixed: torch.Tensor | None = None
    mean: dict[str, torch.Tensor] = field(default_factory=dict)

    def geometry(self) -> Geometry:
        """For each model ‖x_i‖/√dim and, where aggregated, ‖x′ − μ_i‖/√dim, one number a sample.

        A setting makes sense while state_norm stays near what the schedule expects (1 at high noise) and
        η/√dim stays below distance_to_mean: beyond it the pull-back overshoots.
        """
        shown: Geometry = {}
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
    geometry: tuple[Geometry, ...] = ()


Callback = Callable[[Step], bool | None]
"""Called after each step; what it puts into ``step.leaving`` is where the models go on. Returning True stops."""


@torch.no_grad()
def sample(
    branches: Sequence[Branch],
    num_inference_steps: int,
    config: AggregationConfig | None = None,
    callback: Callback | None = None,
    record: bool = False,
    finish_all: bool = False,
) -> SamplingResult:
    """Sample with the first branch as target.

    A model is evaluated only in steps whose result can still reach the target: T + s·(N − 1) evaluations a sample for
    the paper's semantics, one more for each auxiliary for the authors'. ``record`` keeps the geometry of every step;
    ``finish_all`` evaluates every model in every step, so that each one's final state is a picture of its own.

    Raises:
        InputError: before any model runs, for branches or settings that do not fit together.
    """
    window = _checked_window(branches, num_inference_steps, config)
    states = {b.name: b.latents * b.scheduler.init_noise_sigma for b in branches}
    evaluations = dict.fromkeys(states, 0)
    recorded: list[Geometry] = []
    previous: Step | None = None
    stopped = False
    for i, t in enumerate(branches[0].scheduler.timesteps):
        step = Step(i, t.item(), entering=dict(states))
        for k, branch in enumerate(branches):
            if finish_all or _matters(k, i, window, config):
                _advance(branch, step)
                evaluations[branch.name] += 1
        step.leaving = dict(step.stepped)
        if config is not None and i in window:
            _aggregate(branches, step, previous, config)
        if record:
            recorded.append(step.geometry())
        stopped = callback is not None and callback(step) is True
        states |= step.leaving
        previous = step
        if stopped:
            break
    return SamplingResult(states, _finite(states[branches[0].name]), evaluations, stopped, tuple(recorded))


def planned_evaluations(names: Sequence[str], num_inference_steps: int, config: AggregationConfig | None) -> list[int]:
    """Evaluations a sample of each model, the target first: what :func:`sample` will count."""
    window = config.steps(num_inference_steps) if config is not None else range(0)
    return [sum(_matters(k, i, window, config) for i in range(num_inference_steps)) for k in range(len(names))]


def _advance(branch: Branch, step: Step) -> None:
    """One guided prediction and the model's own scheduler step."""
    x, t = step.entering[branch.name], branch.scheduler.timesteps[step.index]
    prediction = branch.denoiser(branch.scheduler.scale_model_input(x, t), t.item(), step.index).to(x.dtype)
    step.prediction[branch.name] = prediction
    step.stepped[branch.name] = branch.scheduler.step(prediction, t, x, return_dict=False)[0].to(x.dtype)


def _aggregate(branches: Sequence[Branch], step: Step, previous: Step | None, config: AggregationConfig) -> None:
    """Equations 9 and 10 on the states of one step."""
    coefficients = mixing_coefficients(config.weights, config.coefficients)
    used = [(step.stepped[b.name], c) for b, c in zip(branches, coefficients, strict=True) if b.name in step.stepped]
    step.mixed = spherical_aggregation([x for x, _ in used], [c for _, c in used], config.mix_norm == "preserving")
    if not config.pull_back:
        step.leaving = {branch.name: step.mixed.clone() for branch in branches}
        return
    eta = config.eta_in_latent_units(step.mixed[0].numel())
    for k, branch in enumerate(branches):
        name = branch.name
        if name not in step.stepped:  # its weight is 0, and its state reaches nothing
            continue
        if config.mean == "ddim":
            step.mean[name] = step.stepped[name]
        else:
            assert previous is not None  # the window of this mean starts at step 1
            step.mean[name] = _official_mean(branch, step, previous)
        step.leaving[name] = manifold_optimisation(step.mixed, step.mean[name], eta[k])


def _official_mean(branch: Branch, step: Step, previous: Step) -> torch.Tensor:
    """The authors' μ: x entering this step, ε and the single-step α of the step before."""
    x = step.entering[branch.name]
    alphas = branch.scheduler.alphas_cumprod.to(x.device)
    alpha_bar = alphas[previous.timestep]
    alpha = branch.scheduler.alphas.to(x.device)[previous.timestep]
    before = previous.entering[branch.name]
    kind = branch.scheduler.config.prediction_type
    return ddpm_mean(x, to_epsilon(previous.prediction[branch.name], before, alpha_bar, kind), alpha, alpha_bar)


def _matters(k: int, i: int, window: range, config: AggregationConfig | None) -> bool:
    """Whether model k's step i can reach the target (k = 0): after the window only the target's own can, before its end
    those of models with a weight in x′; the target's always, but where its state becomes x′ and has no weight in it."""
    if config is None or i >= window.stop:
        return k == 0
    if mixing_coefficients(config.weights, config.coefficients)[k] > 0:
        return True
    return k == 0 and (config.pull_back or i not in window)


def _checked_window(branches: Sequence[Branch], num_inference_steps: int, config: AggregationConfig | None) -> range:
    """The aggregated steps of a run that can start; sets the schedulers' timesteps."""
    if not branches:
        raise InputError("there is none to sample with", field="models")
    if len({branch.name for branch in branches}) != len(branches):
        raise InputError("two have one name", field="models")
    if config is None and len(branches) > 1:
        raise InputError("is needed to sample with several models", field="aggregation")
    window = range(0)
    if config is not None:
        config.check_models(len(branches))
        window = config.steps(num_inference_steps)
    for branch in branches:
        _check_latents(branch, branches[0])
        _set_timesteps(branch, num_inference_steps)
    for branch in branches if config is not None else ():
        _check_aggregable(branch, branches[0])
    return window


def _check_latents(branch: Branch, target: Branch) -> None:
    x, first = branch.latents, target.latents
    if x.dim() != 4 or x.dtype not in (torch.float32, torch.float64):
        form = f"{tuple(x.shape)} of {x.dtype}"
        raise InputError(f"{branch.name} has {form}; needs (B, C, h, w) of float32 or float64", field="latents")
    if (x.shape, x.dtype, x.device) != (first.shape, first.dtype, first.device):
        ours, theirs = (f"{tuple(y.shape)} {y.dtype} on {y.device}" for y in (x, first))
        raise InputError(f"{branch.name} has {ours}, {target.name} has {theirs}", field="latents")


def _set_timesteps(branch: Branch, num_inference_steps: int) -> None:
    most = branch.scheduler.config.num_train_timesteps
    if not 1 <= num_inference_steps <= most:
        raise InputError(f"is {num_inference_steps}; it must lie in 1 … {most}", field="num_inference_steps")
    branch.scheduler.set_timesteps(num_inference_steps)


def _check_aggregable(branch: Branch, target: Branch) -> None:
    """States can be mixed, and models stepped from changed states: DDIM keeps variance, and nothing between steps."""
    scheduler, first = branch.scheduler, target.scheduler
    if not isinstance(scheduler, DDIMScheduler):
        raise InputError(f"{branch.name} has {type(scheduler).__name__}; aggregation needs DDIM", field="scheduler")
    if scheduler.config.prediction_type not in ("epsilon", "v_prediction"):
        raise InputError(f"{branch.name} predicts {scheduler.config.prediction_type}", field="prediction_type")
    trained, as_first = scheduler.alphas_cumprod.double(), first.alphas_cumprod.double()
    if not (torch.equal(trained, as_first) and torch.equal(scheduler.timesteps, first.timesteps)):
        raise InputError(f"{branch.name} and {target.name} follow different schedules", field="scheduler")


def _finite(x: torch.Tensor) -> torch.Tensor:
    return torch.isfinite(x).flatten(1).all(1)
