"""Reasons of advice: which numbers stand in the sentences."""

from __future__ import annotations

import pandas as pd

from bench.report.advice import (
    HOLDS,
    OPEN,
    WORSE,
    about_choice,
    about_eta,
    about_single,
    about_singles,
    about_window,
    deciding,
    verdict_of,
)

ORDER = ["joint_interaction", "isr"]
ROWS = pd.DataFrame({"joint_interaction": [0.0, 0.0], "isr": [0.25, 0.5]}, index=["migc", "ip-adapter"])


def test_a_flat_metric_does_not_decide() -> None:
    assert deciding(ROWS, ORDER) == "isr" and deciding(ROWS[:1], ORDER) == "joint_interaction"
    unknown = ROWS.assign(joint_interaction=[float("nan"), 0.5])
    assert deciding(unknown, ORDER) == "joint_interaction"


def test_a_better_single_model_is_named_as_another_target() -> None:
    text = about_singles(ROWS, "migc", ORDER)
    assert "ISR: migc 25.0 %, ip-adapter 50.0 %" in text and "Of ISR ip-adapter has more than the target" in text
    assert "more than the target" not in about_singles(ROWS, "ip-adapter", ORDER)


def test_the_window_is_said_with_its_rise() -> None:
    curves = pd.DataFrame({"auxiliary": "a", "k": [0, 1, 2, 3], "isr": [0.3, 0.2, 0.5, 0.1]})
    text = about_window(curves, 1, 2, "isr")
    assert "from 20.0 % to 50.0 %" in text and "steps 1 to 1, s = 1" in text and "alone has 30.0 %" in text
    assert "none of the metrics" in about_window(curves, 0, 3, None)


def test_a_published_eta_past_the_mean_is_named() -> None:
    far = pd.DataFrame(
        {"noise": "shared", "step": [0, 1], "model": ["a", "a"], "distance_to_mean": [0.4, 0.3]},
    )
    tried = ROWS.set_axis(["shared noise, η 0", "shared noise, η 0.15"])
    text = about_eta(far, tried, "shared noise, η 0.15", ORDER, {"a": 0.35})
    assert (
        "0.300 from the mean of a (step 1, shared noise)" in text and "0.35 for a with shared noise in step 1." in text
    )
    assert "so shared noise, η 0.15" in text and "ISR: shared noise, η 0 25.0 %" in text
    assert "shorter than every" in about_eta(far, tried, "shared noise, η 0", ORDER, {"a": 0.2})


def test_the_choice_is_said_with_the_next_and_the_best_single_model() -> None:
    text = about_choice(ROWS, "ip-adapter", ORDER, 24)
    assert "no more than 24 evaluations" in text and "50.0 % of ISR; next is migc with 25.0 %." in text
    more, less = {"isr": 0.5}, {"isr": 0.25}
    assert "50.0 % against 25.0 %" in about_single(more, "migc", less, ["isr"])
    assert "may not pay" in about_single(less, "migc", more, ["isr"])


def test_an_interval_without_bounds_leaves_it_open() -> None:
    assert [verdict_of(0.01, 0.1), verdict_of(-0.2, -0.1), verdict_of(-0.1, 0.1)] == [HOLDS, WORSE, OPEN]
    assert verdict_of(float("nan"), float("nan")) == OPEN
