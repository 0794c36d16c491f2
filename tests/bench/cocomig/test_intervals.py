"""Intervals: known quantiles, the edges, and coverage by simulation."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.cocomig.intervals import difference_interval, ratio_interval, t_quantile

ROOT = Path(__file__).resolve().parents[3]
LEAST = 0.93


@pytest.mark.parametrize(
    ("confidence", "freedom", "tabulated"),
    [
        *((0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 3, 3.182), (0.95, 4, 2.776), (0.95, 11, 2.201)),
        *((0.95, 60, 2.000), (0.95, 10_000, 1.960), (0.99, 3, 5.841), (0.999, 30, 3.646)),
    ],
)
def test_quantiles_are_those_of_the_tables(confidence: float, freedom: int, tabulated: float) -> None:
    assert t_quantile(confidence, freedom) == pytest.approx(tabulated, abs=6e-4)


def of(values: list[float], instances: float = 4) -> tuple[np.ndarray, np.ndarray]:
    """Successes out of ``instances`` in each layout."""
    return np.array(values, np.float64), np.full(len(values), instances)


@pytest.mark.parametrize("count", [2, 10, 25, 800])
def test_nothing_right_and_all_right_are_not_certain(count: int) -> None:
    low, high = ratio_interval(*of([0] * count))
    # What is ruled out: a chance, at the level of layouts, of which all of them fail with less than 2.5–5 %.
    assert low == 0 and (1 - high) ** count <= 0.055 and high <= 1
    mirrored = ratio_interval(*of([4] * count))
    assert mirrored == pytest.approx((1 - high, 1))


def test_bounds_by_hand() -> None:
    """Twelve values, of which one is 1 and eleven are 0; and ten 0 with +1 and −1. Student's t is 2.201."""
    assert ratio_interval(*of([0] * 10)) == pytest.approx((0, (1 + 2.201) / 12), abs=1e-4)
    wide = 2.201 * (2 / (11 * 12)) ** 0.5
    assert difference_interval(of([4, 0] * 5), of([4, 0] * 5)) == pytest.approx((-wide, wide), abs=1e-4)


def test_methods_that_never_differ_are_not_known_to_be_equal() -> None:
    same = of([4, 0, 3, 1] * 5)
    low, high = difference_interval(same, same)
    assert low == -high and 0.1 < high < 0.2
    shown = [difference_interval(of([4, 0] * n), of([4, 0] * n))[1] for n in (1, 5, 50, 500)]
    assert shown == sorted(shown, reverse=True) and shown[-1] < 0.003
    low, high = difference_interval(of([4] * 10), of([0] * 10))
    assert high == 1 and 0.4 < low < 0.7


def test_a_single_layout_has_no_interval() -> None:
    assert np.isnan(ratio_interval(*of([2]))).all()
    assert np.isnan(difference_interval(of([2]), of([3]))).all()
    one_says_something = (np.array([1.0, 0, 0]), np.array([2.0, 0, 0]))
    assert np.isnan(ratio_interval(*one_says_something)).all()
    assert np.isnan(difference_interval(one_says_something, of([1, 2, 3]))).all()


def test_layouts_without_a_denominator_say_nothing() -> None:
    above, below = np.array([3.0, 4, 2, 4]), np.array([4.0, 4, 4, 4])
    padded = [np.concatenate([one, np.zeros(96)]) for one in (above, below)]
    assert ratio_interval(*padded) == pytest.approx(ratio_interval(above, below))
    # Two methods, one of which is known on four layouts only: at least as wide as what those four allow.
    wide = difference_interval((padded[0], padded[1]), of([4] * 100))
    assert wide[1] - wide[0] > 0.3


def test_in_the_middle_it_is_the_usual_interval() -> None:
    generator = np.random.default_rng(0)
    correct, instances = generator.binomial(4, 0.6, 400).astype(float), np.full(400, 4.0)
    low, high = ratio_interval(correct, instances)
    draws = generator.multinomial(400, np.full(400, 1 / 400), size=4000)
    by_bootstrap = np.quantile((draws @ correct) / (draws @ instances), [0.025, 0.975])
    np.testing.assert_allclose([low, high], by_bootstrap, atol=0.004)


def test_bounds_hold_the_value() -> None:
    generator = np.random.default_rng(1)
    for chance in (0.0, 0.01, 0.3, 0.99, 1.0):
        correct = generator.binomial(3, chance, (200, 12)).astype(float)
        low, high = ratio_interval(correct, np.full(correct.shape, 3.0))
        value = correct.sum(-1) / 36
        assert (low <= value).all() and (value <= high).all() and (low < high).all()


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "interval_coverage.py"))


def test_intervals_cover(study: dict[str, Any]) -> None:
    table = pd.concat([study["simulate_ratios"](400), study["simulate_differences"](400)])
    known = table[table.layouts > 1]
    assert known.coverage.min() >= LEAST - 0.035  # 400 runs a cell: 3 standard errors
    assert known.groupby(["figure", "layouts"]).coverage.mean().min() >= 0.945
    assert table[table.layouts == 1].coverage.isna().all()


def test_the_stored_study_is_of_the_script_and_shows_the_coverage(study: dict[str, Any]) -> None:
    stored = pd.read_csv(ROOT / "reports" / "interval_coverage.csv")
    known = stored[stored.layouts > 1]
    assert known.coverage.min() >= LEAST
    isr = known[known.figure == "ISR"]
    assert set(isr.layouts) == set(study["LAYOUTS"]) - {1} and set(isr.success) == set(study["SUCCESS"])
    page = (ROOT / "reports" / "interval_coverage.md").read_text(encoding="utf-8")
    assert page == study["report"](stored, int(re.search(r"of (\d+) simulated", page)[1]))  # type: ignore[index]
