"""T steps over N models that share a latent space: aggregation in a window, then the target alone (Algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

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


@dataclass
class Branch:
    """One model in a sampling run: its denoiser, a scheduler of its own, its latents (B, C, h, w) at x_T."""

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
    timestep: int
    entering: dict[str, torch.Tensor] = field(default_factory=dict)
    prediction: dict[str, torch.Tensor] = field(default_factory=dict)
    stepped: dict[str, torch.Tensor] = field(default_factory=dict)
    leaving: dict[str, torch.Tensor] = field(default_factory=dict)
    mixed: torch.Tensor | None = None
    mean: dict[str, torch.Tensor] = field(default_factory=dict)

    def geometry(self) -> dict[str, dict[str, list[float]]]:
        """For each model ‖x_i‖/√dim and, where aggregated, ‖x′ − μ_i‖/√dim, one number a sample.

        A setting makes sense while ‖x_i‖/√dim stays near what the schedule expects (1 at high noise), and η/√dim
        stays below ‖x′ − μ_i‖/√dim: beyond it the pull-back overshoots.
        """
        shown: dict[str, dict[str, list[float]]] = {}
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
    is free of NaN and infinity. evaluations: guided calls by model. stopped: a callback asked to stop before the end."""

    latents: dict[str, torch.Tensor]
    finite: torch.Tensor
    evaluations: dict[str, int]
    stopped: bool = False


Callback = Callable[[Step], bool | None]
"""Called after each step; may change ``step.leaving`` in place. Returning True stops the sampling."""


@torch.no_grad()
def sample(
    branches: Sequence[Branch],
    num_inference_steps: int,
    config: AggregationConfig | None = None,
    callback: Callback | None = None,
) -> SamplingResult:
    """Sample with the first branch as target.

    A model is evaluated only in steps whose result can still reach the target: T + s·(N − 1) evaluations a sample for the
    paper's semantics, one more for each auxiliary for the authors'. States keep the dtype of the initial latents.

    Raises:
        InputError: before any model runs, for branches or settings that do not fit together.
    """
    window = _checked_window(branches, num_inference_steps, config)
    for branch in branches:
        branch.scheduler.set_timesteps(num_inference_steps)
    states = {b.name: b.latents * b.scheduler.init_noise_sigma for b in branches}
    evaluations = dict.fromkeys(states, 0)
    previous: Step | None = None
    for i, t in enumerate(branches[0].scheduler.timesteps):
        step = Step(i, int(t), entering=dict(states))
        for k, branch in enumerate(branches):
            if (k == 0 or i < window.stop) and not _overwritten(k, i, window, config):
                _advance(branch, step)
                evaluations[branch.name] += 1
        step.leaving = dict(step.stepped)
        if config is not None and i in window:
            _aggregate(branches, step, previous, config)
        stopped = callback is not None and callback(step) is True
        states |= step.leaving
        previous = step
        if stopped:
            return SamplingResult(states, _finite(states[branches[0].name]), evaluations, True)
    return SamplingResult(states, _finite(states[branches[0].name]), evaluations)


def _advance(branch: Branch, step: Step) -> None:
    """One guided prediction and the model's own scheduler step."""
    x, t = step.entering[branch.name], branch.scheduler.timesteps[step.index]
    prediction = branch.denoiser(branch.scheduler.scale_model_input(x, t), int(t), step.index).to(x.dtype)
    step.prediction[branch.name] = prediction
    step.stepped[branch.name] = branch.scheduler.step(prediction, t, x, return_dict=False)[0].to(x.dtype)


def _aggregate(branches: Sequence[Branch], step: Step, previous: Step | None, config: AggregationConfig) -> None:
    """Equations 9 and 10 on the states of one step."""
    coefficients = mixing_coefficients(config.weights, config.coefficients)
    mixed = [(step.stepped[b.name], c) for b, c in zip(branches, coefficients, strict=True) if b.name in step.stepped]
    states, used = [x for x, _ in mixed], [c for _, c in mixed]
    step.mixed = spherical_aggregation(states, used, config.mix_norm == "preserving")
    eta = config.eta_in_latent_units(step.mixed[0].numel())
    for k, branch in enumerate(branches):
        name = branch.name
        if not config.pull_back:
            step.leaving[name] = step.mixed.clone()
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


def _overwritten(k: int, i: int, window: range, config: AggregationConfig | None) -> bool:
    """Whether model k's own step i leaves no trace: it has no weight in x′, and its state becomes x′."""
    if config is None or i not in window or config.pull_back:
        return False
    return mixing_coefficients(config.weights, config.coefficients)[k] == 0.0


def _checked_window(branches: Sequence[Branch], num_inference_steps: int, config: AggregationConfig | None) -> range:
    if not branches or num_inference_steps < 1:
        raise InputError("needs a model and at least one step", field="num_inference_steps" if branches else "models")
    if len({b.name for b in branches}) != len(branches):
        raise InputError("two branches of one name", field="models")
    first = branches[0]
    for branch in branches[1:]:
        if branch.latents.shape != first.latents.shape:
            shapes = f"{tuple(branch.latents.shape)}, not {tuple(first.latents.shape)}"
            raise InputError(f"{branch.name} has latents {shapes}", field="latents")
        if not torch.equal(branch.scheduler.alphas_cumprod, first.scheduler.alphas_cumprod):
            raise InputError(f"{branch.name} and {first.name} were trained on different schedules", field="scheduler")
    if config is None:
        if len(branches) > 1:
            raise InputError("several models need an aggregation", field="aggregation")
        return range(0)
    config.check_models(len(branches))
    return config.steps(num_inference_steps)


def _finite(x: torch.Tensor) -> torch.Tensor:
    return torch.isfinite(x).flatten(1).all(1)
