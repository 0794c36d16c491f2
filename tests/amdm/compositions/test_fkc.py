"""FKC: the product in the limit of particles and steps, where the sum of scores alone is too narrow."""

from __future__ import annotations

import pytest
import torch

from amdm.compositions.fkc import FKC, product_drift, systematic
from amdm.compositions.run import Run
from tests.amdm.compositions.gaussians import SHAPES, Gaussian, bound, composition, drawn, isotropic, spread

S = 0.5
S3 = [0.5, 0.8, 1.2]


def variance(steps: int, weighted: bool) -> float:
    """Of a coordinate for γ = (1, 1) and N(0, S²) twice, with particles without number: a Gaussian at every step."""
    models = [isotropic([0.0, 0.0], S)] * 2
    run = Run(bound(models, torch.zeros(1, *SHAPES[2], dtype=torch.float64)), steps, range(steps), 0)
    x = torch.tensor([1.0, 0.0], dtype=torch.float64).reshape(1, 1, *SHAPES[2])
    v = 1.0
    for i in range(steps):
        step = run.reverse(i)
        eps = [run.guided(k, x[:, 0], i).unsqueeze(1) for k in range(2)]
        drift, log_weight = product_drift(eps, [1, 1], step.dsigma, step.sigma)
        if weighted:
            v = 1 / (1 / v - 2 * float(log_weight))
        moved = step.scale_after * (1 / step.scale + 2 * step.dsigma * float(drift.flatten()[0]))
        v = moved**2 * v + (step.scale_after * step.spread) ** 2
    return v


def test_the_product_from_1000_steps_on() -> None:
    """S²/2; the SDE along the sum of scores gives S²/3, and so does one particle."""
    assert variance(1000, weighted=True) == pytest.approx(S**2 / 2, rel=0.03)
    assert variance(1000, weighted=False) == pytest.approx(S**2 / 3, rel=0.03)
    assert variance(50, weighted=True) < 0.8 * S**2 / 2


def law_of_many(models: list[Gaussian], gamma: list[float], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance (d,) with particles without number: models of no correlation keep a Gaussian one, and a step's
    log-weight is a parabola in each coordinate, fixed by three points."""
    d = len(models[0].mean)
    run = Run(bound(models, torch.zeros(1, *SHAPES[d], dtype=torch.float64)), steps, range(steps), 0)
    mean, var = torch.zeros(d, dtype=torch.float64), torch.ones(d, dtype=torch.float64)
    for i in range(steps):
        step, at = run.reverse(i), []
        for value in (-1.0, 0.0, 1.0):
            x = torch.full((1, *SHAPES[d]), value, dtype=torch.float64)
            eps = [run.guided(k, x, i).reshape(d, 1, 1, 1, 1) for k in range(len(models))]  # a coordinate a sample
            drift, log_weight = product_drift(eps, gamma, step.dsigma, step.sigma)
            at.append((drift.flatten(), log_weight.flatten()))
        (below, w_below), (middle, w_middle), (above, w_above) = at
        tilt, bend = (w_above - w_below) / 2, w_above + w_below - 2 * w_middle
        var, mean = 1 / (1 / var - bend), (mean / var + tilt) / (1 / var - bend)
        factor = step.scale_after * (1 / step.scale + step.dsigma * (above - below))
        mean = factor * mean + step.scale_after * 2 * step.dsigma * middle
        var = factor**2 * var + (step.scale_after * step.spread) ** 2
    return mean, var


@pytest.mark.parametrize("d", SHAPES)
@pytest.mark.parametrize(("gamma", "stds"), [([0.5, 0.5], [0.5, 1.0]), ([1.0, 1.0], [0.5, 0.8]), ([1.0, 0.5, 0.3], S3)])
def test_the_product_of_unlike_models_from_1000_steps_on(d: int, gamma: list[float], stds: list[float]) -> None:
    """Precision Σ γᵢ/Sᵢ², and mean Σ γᵢmᵢ/Sᵢ² over it."""
    models = spread(d, len(gamma), stds)
    precision = sum(g / s**2 for g, s in zip(gamma, stds, strict=True))
    promised = sum(g * one.mean / s**2 for g, one, s in zip(gamma, models, stds, strict=True)) / precision
    mean, var = law_of_many(models, gamma, 1000)
    assert (mean - promised).abs().max() < 0.03 * promised.abs().max()
    torch.testing.assert_close(var, torch.full_like(var, 1 / precision), rtol=0.04, atol=0)


@pytest.mark.parametrize(("particles", "clamp", "weighted"), [(1, None, False), (16, None, True), (16, 1e-6, False)])
def test_particles_have_the_variance_that_they_should(particles: int, clamp: float | None, weighted: bool) -> None:
    made = composition("fkc", gamma=[1, 1], particles=particles, clamp=clamp)
    x = drawn(made, [isotropic([0.0, 0.0], S)] * 2, 20, 300)
    assert float(x.var()) == pytest.approx(variance(20, weighted), rel=0.2)  # 600 numbers: a standard error of 6 %
    assert variance(20, True) > 1.2 * variance(20, False)


def test_the_weight_is_the_product_rule() -> None:
    """½g²[‖Σγs‖² − Σγ‖s‖²]: for (½, ½) −⅛g²‖s₁−s₂‖², for (1, 1) g²⟨s₁, s₂⟩; with g²dt = 2σ|dσ| and s = −ε/σ."""
    e1, e2 = torch.randn(2, 3, 5, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    sigma, dsigma = 3.0, -0.2
    rate = 2 * sigma * abs(dsigma) / sigma**2
    expected = -rate / 8 * (e1 - e2).flatten(2).square().sum(2)
    torch.testing.assert_close(product_drift([e1, e2], [0.5, 0.5], dsigma, sigma)[1], expected)
    torch.testing.assert_close(product_drift([e1, e2], [1, 1], dsigma, sigma)[1], rate * (e1 * e2).flatten(2).sum(2))
    drift, log_weight = product_drift([e1, e2], [1, 0], dsigma, sigma)
    assert torch.equal(drift, e1) and log_weight.abs().max() < 1e-12


def test_systematic_resampling_takes_each_particle_as_often_as_it_weighs() -> None:
    weights = torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    for start in (0.0, 0.3, 0.999):
        taken = systematic(weights.log(), torch.full((2, 1), start, dtype=torch.float64), 8)
        assert taken[0].bincount(minlength=4).tolist() == [4, 2, 1, 1] and taken[1].tolist() == [2] * 8
    starts = (torch.arange(1000, dtype=torch.float64).reshape(-1, 1) + 0.5) / 1000
    one = systematic(weights[:1].log().expand(1000, 4), starts, 1)
    assert (one.flatten().bincount(minlength=4) / 1000 - weights[0]).abs().max() < 0.002


@pytest.mark.parametrize("d", SHAPES)
def test_equal_models_give_the_single_model(d: int) -> None:
    model = spread(d, 1)[0]
    x = drawn(composition("fkc", gamma=[0.5, 0.5], particles=2), [model] * 2, 50, 100)
    apart = (x - model.mean).square().mean() / S**2
    assert float(apart) == pytest.approx(0.9, abs=0.3 if d == 2 else 0.1)  # 50 steps make it narrower by 5 %
    single = drawn(composition("fkc", gamma=[1, 0], particles=2), [model, spread(d, 2)[1]], 50, 100)
    torch.testing.assert_close(single, x)


def test_evaluations_are_the_windows_particles() -> None:
    made = composition("fkc", gamma=[0.5, 0.5], particles=4, first_step=1, s=3)
    assert made.evaluations(2, 20) == [17 + 12, 12]
    models = bound(spread(2, 2), torch.zeros(2, *SHAPES[2], dtype=torch.float64), [1, 2])
    assert list(made.sample(models, 20).evaluations.values()) == [29, 12]


def test_a_log_weight_is_bounded_about_its_mean_over_the_particles() -> None:
    weights = torch.tensor([[0.0, 3.0, 9.0], [7.0, 7.0, 7.0]])
    for clamp, expected in ((1.0, [-1.0, -1.0, 1.0]), (4.5, [-4.0, -1.0, 4.5]), (None, [-4.0, -1.0, 5.0])):
        made = composition("fkc", gamma=[1, 1], particles=3, clamp=clamp)
        assert isinstance(made, FKC) and made._clamped(weights).tolist() == [expected, [0.0] * 3]


def test_every_step_resamples_at_random_and_the_last_draws_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, starts = list[int](), list[float]()

    def seen(log_weight: torch.Tensor, start: torch.Tensor, count: int) -> torch.Tensor:
        counts.append(count)
        starts.extend(start.flatten().tolist())
        return systematic(log_weight, start, count)

    monkeypatch.setattr("amdm.compositions.fkc.systematic", seen)
    drawn(composition("fkc", gamma=[0.5, 0.5], particles=4, first_step=1, s=3), spread(2, 2), 6, 2)
    assert counts == [4, 4, 1] and len(set(starts)) == 6 and all(0 <= start < 1 for start in starts)
