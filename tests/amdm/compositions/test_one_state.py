"""What all compositions of one state share: the window, what it costs, callbacks, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from amdm.aggregation import paper
from amdm.errors import InputError
from amdm.sampler import Step, aggregate_sample
from tests.amdm.compositions.gaussians import SHAPES, assert_same_law, bound, composition, law, spread

SETTINGS: dict[str, dict[str, Any]] = {
    "mean-epsilon": {"weights": [1, 2]},
    "composable": {"weights": [1, 1]},
    "alternate": {"tau": 2},
    "switch": {},
    "multidiffusion": {},
    "superdiff-and": {},
    "fkc": {"gamma": [0.5, 0.5], "particles": 2},
    "projective": {"weights": [1, 1]},
}


def run(name: str, steps: int = 6, callback: Any = None, **window: Any) -> Any:
    count = 3 if name == "projective" else 2
    latents = torch.randn(2, *SHAPES[64], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    inside = torch.ones(2, 1, 4, 4)
    models = bound(spread(64, count), latents, [1, 2], inside)
    made = composition(name, **SETTINGS[name], **window)
    told = made.evaluations(count, steps)
    return made.sample(models, steps, callback), told, models


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("window", [{}, {"s": 3}, {"first_step": 2, "s": 3}, {"first_step": 4}])
def test_what_is_told_beforehand_is_counted(name: str, window: dict[str, int]) -> None:
    result, told, models = run(name, **window)
    assert list(result.evaluations.values()) == told == [model.denoiser.calls for model in models]
    assert result.finite.all() and result.latents["m0"].shape == (2, 4, 4, 4)
    again, _, _ = run(name, **window)
    assert torch.equal(again.latents["m0"], result.latents["m0"])


@pytest.mark.parametrize("name", SETTINGS)
def test_an_empty_window_is_the_target_alone(name: str) -> None:
    result, told, models = run(name, s=0)
    alone = aggregate_sample(models[:1], 6)
    assert torch.equal(result.latents["m0"], alone.latents["m0"]) and told[0] == 6 and not any(told[1:])


def test_the_window_is_where_the_models_draw_together() -> None:
    seen: list[set[str]] = []
    run("mean-epsilon", callback=lambda step: seen.append(set(step.prediction)) and None, first_step=1, s=2)
    assert seen == [{"m0"}, {"m0", "m1"}, {"m0", "m1"}, {"m0"}, {"m0"}, {"m0"}]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_callback_changes_the_state_and_stops(name: str) -> None:
    seen: list[torch.Tensor] = []

    def callback(step: Step) -> bool:
        seen.append(step.entering["m0"])
        step.leaving["m0"] = torch.full_like(step.leaving["m0"], float(step.index))
        return step.index == 3

    result, _, _ = run(name, callback=callback)
    assert result.stopped and len(seen) == 4
    assert all(float(x.mean()) == k for k, x in enumerate(seen[1:])) and float(result.latents["m0"].mean()) == 3


def test_what_does_not_fit_is_refused() -> None:
    made = composition("mean-epsilon", weights=[1, 1], first_step=3, s=4)
    with pytest.raises(InputError, match=r"^s: steps 3 to 6 \(counted from 0\) are aggregated, but there are 6: "):
        made.check(2, 6)
    with pytest.raises(InputError, match=r"^first_step: is 7, but there are 6 steps"):
        composition("switch", first_step=7).check(2, 6)
    with pytest.raises(InputError, match=r"^models: there is 1; switch takes 2 or more"):
        composition("switch").check(1, 6)
    models = bound(spread(2, 2), torch.zeros(1, *SHAPES[2], dtype=torch.float64))
    with pytest.raises(InputError, match=r"^all_models: the models of mean-epsilon share one state"):
        made.sample(models, 20, finish_all=True)
    models[1].denoiser = lambda x, t, i: x
    with pytest.raises(InputError, match=r"^models: m1's denoiser has no halves of guidance apart"):
        composition("composable", weights=[1, 1]).sample(models, 20)


def test_velocities_are_composed_as_noise() -> None:
    """A model that predicts v beside one that predicts ε, the same Gaussian: the same pictures."""
    models = bound(spread(2, 1) * 2, torch.ones(1, *SHAPES[2], dtype=torch.float64))
    expected = composition("mean-epsilon", weights=[1, 1]).sample(models, 6).latents["m0"]
    told = models[1].denoiser

    def velocity(x: torch.Tensor, t: float, i: int) -> torch.Tensor:
        alpha_bar = models[0].scheduler.alphas_cumprod[int(t)]
        return (told(x, t, i) - (1 - alpha_bar).sqrt() * x) / alpha_bar.sqrt()

    models[1].denoiser = velocity
    models[1].scheduler.register_to_config(prediction_type="v_prediction")
    torch.testing.assert_close(composition("mean-epsilon", weights=[1, 1]).sample(models, 6).latents["m0"], expected)


def test_amdm_of_equal_models_and_shared_noise_without_pull_back_is_no_single_model_but_true_slerp_is() -> None:
    model = spread(2, 1)[0]
    alone = law(composition("mean-epsilon", weights=[1, 0]), [model] * 2, 10)
    start = torch.ones(1, *SHAPES[2], dtype=torch.float64)
    plain = aggregate_sample(bound([model], start), 10).latents["m0"]
    slerped = composition("true-slerp", s=3, weights=[0.5]).sample(bound([model] * 2, start), 10).latents["m0"]
    torch.testing.assert_close(slerped, plain)
    mixed = aggregate_sample(bound([model] * 2, start), 10, paper(3, [0.5], [], pull_back=False)).latents["m0"]
    assert (mixed - plain).abs().max() > 0.1
    assert_same_law(law(composition("switch"), [model] * 2, 10), alone)
