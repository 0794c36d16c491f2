"""The sampling loop on toy denoisers: what it evaluates, records, refuses, and where it agrees with plain diffusers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
)

from amdm.aggregation import AggregationConfig, official, paper
from amdm.errors import InputError
from amdm.sampler import BoundModel, Step, aggregate_sample, alpha_bars, planned_evaluations
from tests.closeness import assert_same

pytestmark = pytest.mark.numeric

SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}
DDIM = {**SCHEDULE, "clip_sample": False, "set_alpha_to_one": False}
SWITCH = AggregationConfig(3, (0.0,), (), pull_back=False)


class Counted:
    """A toy prediction that depends on the model, the sample and t; remembers its calls."""

    def __init__(self, pull: float, dtype: torch.dtype | None = None) -> None:
        self.pull, self.dtype, self.calls = pull, dtype, []

    def __call__(self, x: torch.Tensor, t: float, i: int) -> torch.Tensor:
        assert isinstance(t, int | float) and isinstance(i, int)
        self.calls.append((t, i))
        return torch.tanh(x * self.pull + t / 1000).to(self.dtype or x.dtype)


def noise(seed: int, batch: int = 2, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def bound_models(count: int, batch: int = 2, dtype: torch.dtype = torch.float32, **changed: Any) -> list[BoundModel]:
    return [
        BoundModel(f"m{k}", Counted(0.3 + 0.2 * k), DDIMScheduler(**{**DDIM, **changed}), noise(k, batch, dtype))
        for k in range(count)
    ]


def calls(model: BoundModel) -> list[tuple[int, int]]:
    return model.denoiser.calls  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("config", "models", "expected"),
    [
        (paper(3, [0.5], [4, 5]), 2, [50, 3]),
        (official(3, [0.5], [4, 5]), 2, [50, 4]),
        (paper(3, [0.5, 0.5], [4, 5, 6]), 3, [50, 3, 3]),
        (official(3, [0.5, 0.5], [4, 5, 6]), 3, [50, 4, 4]),
        (paper(50, [0.5], [4, 5]), 2, [50, 50]),
        (paper(0, [0.5], [4, 5]), 2, [50, 0]),
        (paper(3, [1.0], [4, 5]), 2, [50, 0]),  # without a weight the auxiliary reaches nothing
        (paper(3, [0.0], [4, 5]), 2, [50, 3]),  # the target's mean is needed all the same
        (SWITCH, 2, [47, 3]),
    ],
)
def test_evaluations_are_those_that_matter(config: AggregationConfig, models: int, expected: list[int]) -> None:
    made = bound_models(models, batch=1)
    result = aggregate_sample(made, 50, config)
    assert [len(calls(model)) for model in made] == expected
    assert list(result.evaluations.values()) == expected


@pytest.mark.parametrize("preset", [paper, official])
def test_later_auxiliary_steps_could_not_matter(preset: Callable[..., AggregationConfig]) -> None:
    """Evaluations after the window are left out because they change nothing: all T of them give the same target."""
    made, config = bound_models(2, dtype=torch.float64), preset(3, [0.5], [4, 5])
    ours = aggregate_sample(made, 10, config).latents["m0"]
    states = {model.name: model.latents for model in made}
    before: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for i, t in enumerate(made[0].scheduler.timesteps):
        eps = {b.name: b.denoiser(states[b.name], int(t), i) for b in made}
        stepped = {b.name: b.scheduler.step(eps[b.name], t, states[b.name]).prev_sample for b in made}
        after = dict(stepped)
        if i in config.steps(10):
            mixed = 0.5 * stepped["m0"] + math.sqrt(0.75) * stepped["m1"]
            for name, eta in zip(("m0", "m1"), config.eta, strict=True):
                mu = stepped[name]
                if config.mean == "ddpm_previous":
                    scheduler, late = made[0].scheduler, int(made[0].scheduler.timesteps[i - 1])
                    alpha, alpha_bar = scheduler.alphas[late], scheduler.alphas_cumprod[late]
                    mu = (states[name] - (1 - alpha) / (1 - alpha_bar) ** 0.5 * before[name][1]) / alpha**0.5
                for k in range(2):  # norms are of one sample
                    away = mixed[k] - mu[k]
                    after[name] = after[name].clone()
                    after[name][k] = mixed[k] - eta * away / away.norm()
        before = {name: (states[name], eps[name]) for name in states}
        states = after
    assert_same(ours, states["m0"])


@pytest.mark.parametrize("preset", [paper, official])
def test_a_sample_does_not_depend_on_its_batch(preset: Callable[..., AggregationConfig]) -> None:
    made, config = bound_models(2, batch=3, dtype=torch.float64), preset(3, [0.5], [4, 5])
    together = aggregate_sample(made, 10, config).latents["m0"]
    for model in made:
        model.latents = model.latents[1:2]
    assert_same(aggregate_sample(made, 10, config).latents["m0"], together[1:2])


@pytest.mark.parametrize("kind", [DDIMScheduler, EulerDiscreteScheduler])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_one_model_alone_is_the_plain_diffusers_loop(kind: Any, prediction_type: str) -> None:
    settings = DDIM if kind is DDIMScheduler else {**SCHEDULE, "timestep_spacing": "leading"}
    scheduler = kind(**settings, prediction_type=prediction_type)
    denoiser = Counted(0.3)
    result = aggregate_sample([BoundModel("m", denoiser, scheduler, noise(0))], 12)
    reference = kind(**settings, prediction_type=prediction_type)
    reference.set_timesteps(12)
    x = noise(0) * reference.init_noise_sigma
    for i, t in enumerate(reference.timesteps):
        x = reference.step(denoiser(reference.scale_model_input(x, t), int(t), i), t, x).prev_sample
    assert torch.equal(result.latents["m"], x)
    assert result.evaluations == {"m": 12}


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        (HeunDiscreteScheduler, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]),
        (PNDMScheduler, [0, 0, 1, 2, 3, 4, 5]),
        (DPMSolverMultistepScheduler, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_steps_are_counted_where_one_has_several_evaluations(kind: Any, steps: list[int]) -> None:
    """What models switch off after a share of the steps must not go off after that share of the evaluations."""
    settings = SCHEDULE | ({"skip_prk_steps": True} if kind is PNDMScheduler else {})
    model = BoundModel("m", Counted(0.3), kind(**settings), noise(0))
    assert aggregate_sample([model], 6).evaluations == {"m": len(steps)}
    assert [step for _, step in calls(model)] == steps


@pytest.mark.parametrize(
    ("scheduler", "steps", "what"),
    [
        (DDIMScheduler(**DDIM), 1000, "is 1000, which would begin at 1000; models know 0 … 999: take fewer steps"),
        (LCMScheduler(**SCHEDULE), 51, "LCMScheduler has no 51: "),
    ],
)
def test_steps_that_a_scheduler_has_not(scheduler: Any, steps: int, what: str) -> None:
    model = BoundModel("m", Counted(0.3), scheduler, noise(0))
    with pytest.raises(InputError, match=f"^num_inference_steps: {what}"):
        aggregate_sample([model], steps)
    assert calls(model) == [] and aggregate_sample([model], steps - 1).finite.all()


def test_official_mean_of_a_v_model_is_that_of_the_same_epsilon_model() -> None:
    """Two models that say the same thing, one as ε and one as v, sample the same picture."""

    def as_v(model: BoundModel) -> BoundModel:
        scheduler, speak = model.scheduler, model.denoiser

        def v(x: torch.Tensor, t: int, i: int) -> torch.Tensor:
            a = scheduler.alphas_cumprod[t]
            return (speak(x, t, i) - (1 - a).sqrt() * x) / a.sqrt()

        spoken = DDIMScheduler(**DDIM, prediction_type="v_prediction")
        spoken.alphas_cumprod = scheduler.alphas_cumprod
        return BoundModel(model.name, v, spoken, model.latents)

    made, config = bound_models(2, dtype=torch.float64), official(3, [0.5], [4, 5])
    for model in made:  # or the coefficients of the two forms are rounded to float32, each in its own way
        model.scheduler.alphas_cumprod = model.scheduler.alphas_cumprod.double()
    as_epsilon = aggregate_sample(made, 10, config).latents["m0"]
    spoken = aggregate_sample([as_v(model) for model in made], 10, config).latents["m0"]
    assert_same(spoken, as_epsilon)


def test_states_keep_their_precision_under_a_half_precision_denoiser() -> None:
    made = bound_models(2)
    for model in made:
        model.denoiser = Counted(0.3, torch.float16)
    seen: list[Step] = []
    result = aggregate_sample(made, 5, official(3, [0.5], [4, 5]), seen.append)  # type: ignore[arg-type, func-returns-value]
    for step in seen:
        for group in (step.entering, step.prediction, step.stepped, step.leaving, step.mean):
            assert {x.dtype for x in group.values()} <= {torch.float32}
    assert result.latents["m0"].dtype == torch.float32


def test_switch_is_the_auxiliary_and_then_the_target() -> None:
    made = bound_models(2, dtype=torch.float64)
    result = aggregate_sample(made, 10, SWITCH)
    x = made[1].latents
    scheduler = made[0].scheduler
    for i, t in enumerate(scheduler.timesteps):
        x = scheduler.step(made[1 if i < 3 else 0].denoiser(x, int(t), i), t, x).prev_sample
    assert_same(result.latents["m0"], x)


def test_models_go_on_from_the_mix_without_pull_back() -> None:
    seen: list[Step] = []
    config = AggregationConfig(3, (0.5,), (), mix_norm="preserving", pull_back=False)
    aggregate_sample(bound_models(2), 10, config, lambda step: seen.append(step))
    for step in seen[:3]:
        assert step.mixed is not None
        assert all(torch.equal(x, step.mixed) for x in step.leaving.values())


def test_recorded_geometry() -> None:
    made, config = bound_models(2, dtype=torch.float64), official(2, [0.5], [4, 5])
    seen: list[Step] = []
    result = aggregate_sample(made, 6, config, lambda step: seen.append(step), record=True)
    assert [sorted(step) for step in result.geometry] == [["m0", "m1"]] * 3 + [["m0"]] * 3
    for step, shown in zip(seen, result.geometry, strict=True):
        for name, numbers in shown.items():
            assert numbers["state_norm"] == pytest.approx([float(x.norm()) / 16 for x in step.leaving[name]])
            if step.mixed is None:
                assert "distance_to_mean" not in numbers
                continue
            away = [float(x.norm()) / 16 for x in step.mixed - step.mean[name]]
            assert numbers["distance_to_mean"] == pytest.approx(away)
            moved = [float(x.norm()) for x in step.mixed - step.leaving[name]]
            assert moved == pytest.approx([{"m0": 4, "m1": 5}[name]] * 2)
    assert [step.index for step in seen if step.mixed is not None] == [1, 2]
    assert aggregate_sample(made, 6, config).geometry == ()


def test_callback_can_change_the_state_and_stop() -> None:
    def replace(step: Step) -> bool:
        step.leaving["m0"] = torch.full_like(step.leaving["m0"], step.index)
        return step.index == 3

    made = bound_models(2)
    result = aggregate_sample(made, 10, paper(2, [0.5], [4, 5]), replace)
    assert result.stopped
    assert result.evaluations == {"m0": 4, "m1": 2}
    assert (result.latents["m0"] == 3).all()
    assert not aggregate_sample(made, 10, paper(2, [0.5], [4, 5])).stopped


def test_a_failed_sample_is_flagged_and_leaves_the_others() -> None:
    made, config = bound_models(2, dtype=torch.float64), official(3, [0.5], [4, 5])
    sound = aggregate_sample(made, 6, config).latents["m0"][1]
    made[1].latents[0, 0, 0, 0] = math.nan
    result = aggregate_sample(made, 6, config)
    assert result.finite.tolist() == [False, True]
    assert_same(result.latents["m0"][1], sound)


def test_one_number_that_is_not_finite_fails_a_sample() -> None:
    (made,) = bound_models(1)  # alone, where nothing spreads it
    made.latents[0, 0, 0, 0] = math.nan
    result = aggregate_sample([made], 4)
    assert result.finite.tolist() == [False, True] and result.latents["m0"][0, 0, 0, 1].isfinite()


def test_no_gradients_are_kept() -> None:
    made = bound_models(2)
    made[0].latents.requires_grad_()
    assert not aggregate_sample(made, 4, paper(2, [0.5], [4, 5])).latents["m0"].requires_grad


def scheduler_of(**changed: Any) -> Callable[[list[BoundModel]], None]:
    def put(made: list[BoundModel]) -> None:
        made[1].scheduler = DDIMScheduler(**{**DDIM, **changed})

    return put


def latents_of(x: torch.Tensor) -> Callable[[list[BoundModel]], None]:
    def put(made: list[BoundModel]) -> None:
        made[1].latents = x

    return put


def scheduler_kind(kind: Any) -> Callable[[list[BoundModel]], None]:
    def put(made: list[BoundModel]) -> None:
        made[1].scheduler = kind(**SCHEDULE, timestep_spacing="leading")

    return put


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (latents_of(torch.zeros(2, 4, 8, 4)), "latents"),
        (latents_of(torch.zeros(1, 4, 8, 8)), "latents"),
        (latents_of(torch.zeros(2, 4, 8, 8, dtype=torch.float64)), "latents"),
        (latents_of(torch.zeros(2, 4, 8, 8, dtype=torch.float16)), "latents"),
        (scheduler_of(beta_end=0.006), "scheduler"),
        (scheduler_of(num_train_timesteps=500), "scheduler"),
        (scheduler_of(timestep_spacing="trailing"), "scheduler"),
        (scheduler_of(prediction_type="sample"), "prediction_type"),
        (scheduler_kind(EulerDiscreteScheduler), "scheduler"),  # its states have another norm
        (scheduler_kind(DPMSolverMultistepScheduler), "scheduler"),  # it remembers states that were changed
        (lambda made: setattr(made[1], "name", "m0"), "models"),
        (lambda made: made.append(bound_models(3)[2]), "weights"),
        (lambda made: made.pop(), "weights"),
        (lambda made: made.clear(), "models"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_model_runs(
    spoil: Callable[[list[BoundModel]], None], field: str
) -> None:
    made = bound_models(2)
    denoisers = [model.denoiser for model in made]
    spoil(made)
    with pytest.raises(InputError, match=f"^{field}: "):
        aggregate_sample(made, 10, paper(3, [0.5], [4, 5]))
    assert all(denoiser.calls == [] for denoiser in denoisers)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("steps", "config", "field"),
    [
        (3, official(3, [0.5], [4, 5]), "s"),
        (2, paper(3, [0.5], [4, 5]), "s"),
        (0, paper(0, [0.5], [4, 5]), "num_inference_steps"),
        (1001, paper(3, [0.5], [4, 5]), "num_inference_steps"),
        (10, paper(3, [0.5], [4, 5, 6]), "eta"),
        (10, None, "aggregation"),
    ],
)
def test_settings_that_do_not_fit_are_refused(steps: int, config: AggregationConfig | None, field: str) -> None:
    made = bound_models(2)
    with pytest.raises(InputError, match=f"^{field}: "):
        aggregate_sample(made, steps, config)
    assert not any(calls(model) for model in made)


def test_euler_with_fractional_timesteps_equals_the_plain_loop() -> None:
    def scheduler() -> EulerDiscreteScheduler:
        return EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="linspace")

    denoiser, plain, start = Counted(0.3), scheduler(), noise(0, dtype=torch.float64)
    ours = aggregate_sample([BoundModel("m", denoiser, scheduler(), start)], 12).latents["m"]
    plain.set_timesteps(12)
    x = start * plain.init_noise_sigma
    for t in plain.timesteps:
        x = plain.step(Counted(0.3)(plain.scale_model_input(x, t), float(t), 0), t, x).prev_sample
    assert_same(ours, x)
    assert any(t != int(t) for t, _ in denoiser.calls)


@pytest.mark.parametrize("config", [paper(3, [0.5], [4, 5]), official(3, [0.5], [4, 5]), SWITCH])
def test_what_is_planned_is_what_is_counted(config: AggregationConfig) -> None:
    made = bound_models(2)
    counted = aggregate_sample(made, 20, config).evaluations
    assert planned_evaluations(len(counted), 20, config) == list(counted.values())


def test_every_model_to_its_end_on_request() -> None:
    made, config = bound_models(2), paper(3, [0.5], [4, 5])
    plain = aggregate_sample(bound_models(2), 20, config)
    every = aggregate_sample(made, 20, config, finish_all=True)
    assert every.evaluations == {"m0": 20, "m1": 20}
    assert torch.equal(every.latents["m0"], plain.latents["m0"])
    assert (every.latents["m1"] - plain.latents["m1"]).abs().max() > 0.1


@pytest.mark.parametrize("changed", [{"steps_offset": 0}, {"steps_offset": 1}, {"timestep_spacing": "trailing"}])
def test_alpha_bars_are_those_of_ddims_own_step(changed: dict[str, Any]) -> None:
    scheduler = DDIMScheduler(**{**DDIM, "set_alpha_to_one": True, **changed})
    scheduler.set_timesteps(10)
    x, epsilon = noise(0, dtype=torch.float64), noise(1, dtype=torch.float64)
    for i, t in enumerate(scheduler.timesteps):
        here, there = alpha_bars(scheduler, i)
        x0 = (x - (1 - here).sqrt() * epsilon) / here.sqrt()
        assert_same(scheduler.step(epsilon, t, x).prev_sample, there.sqrt() * x0 + (1 - there).sqrt() * epsilon)
