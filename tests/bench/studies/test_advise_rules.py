"""The rules of advice: what decides, the window, η, and a short list at equal cost."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from amdm.aggregation import mixing_coefficients
from amdm.compositions.registry import composition_type
from amdm.presets.profile import load_profile
from bench.layouts.named import load_layouts
from bench.studies.advise_rules import (
    PUBLISHED,
    Window,
    best_of,
    choose_window,
    half_way,
    most_of,
    order_of,
    short_list,
    weights_of,
)
from bench.studies.settings import plain_aggregation

COMBINED, PLAIN = load_layouts("mini-combined-tune").subset(5), load_layouts("mini-tune").subset(5)


def curves(*values: float, metric: str = "isr") -> pd.DataFrame:
    """Of one auxiliary, at k = 0, 1, 2, 3, 5, 10 (T)."""
    return pd.DataFrame({"auxiliary": "a", "k": [0, 1, 2, 3, 5, 10], metric: values})


def test_the_layouts_own_joint_metric_decides_then_what_models_read() -> None:
    assert order_of(COMBINED, ("interactdiffusion", "ip-adapter")) == [
        *("joint_interaction", "joint_picture", "isr", "action_given_place", "style")
    ]
    assert order_of(COMBINED, ("stable_diffusion", "ip-adapter")) == ["joint_picture", "style"]
    assert order_of(COMBINED, ("migc", "ip-adapter")) == ["joint_picture", "isr", "style"]
    assert order_of(COMBINED, ("interactdiffusion", "migc")) == ["joint_interaction", "isr", "action_given_place"]
    assert order_of(PLAIN, ("interactdiffusion", "migc")) == ["isr"]


@pytest.mark.parametrize(
    ("values", "window"),
    [
        ((0.2, 0.3, 0.5, 0.6, 0.4, 0.1), (0, 3)),
        ((0.2, 0.1, 0.5, 0.6, 0.4, 0.1), (1, 3)),
        ((0.2, 0.3, 0.6, 0.6, 0.6, 0.9), (0, 2)),
        ((0.2, 0.1, 0.0, 0.1, 0.9, 0.1), (2, 5)),
        ((0.2, 0.9, 0.5, 0.4, 0.3, 0.1), (0, 2)),  # not with k = 1
        ((0.5, 0.1, 0.2, 0.3, 0.4, 0.9), (0, 3)),  # never above the target alone
        ((0.5, 0.5, 0.5, 0.5, 0.5, 0.5), (0, 3)),
    ],
)
def test_the_window_is_where_the_curve_rises_most(values: tuple[float, ...], window: tuple[int, int]) -> None:
    found = choose_window(curves(*values), ["isr"])
    assert (found.first_step, found.end) == window
    assert found.metric == ("isr" if max(values[2:-1]) > values[0] else None)


def test_a_flat_metric_leaves_the_window_to_the_next() -> None:
    table = curves(0, 0, 0, 0, 0, 1, metric="joint_interaction").assign(style=[0.1, 0.2, 0.3, 0.5, 0.4, 0.4])
    assert choose_window(table, ["joint_interaction", "style"]) == Window(0, 3, "style")
    other = table.assign(auxiliary="b", style=[0.1, 0.0, 0.0, 0.0, 0.5, 0.0])
    assert choose_window(pd.concat([table, other]), ["style"]) == Window(0, 5, "style")  # on average over both


def test_eta_is_half_of_the_smallest_distance() -> None:
    table = pd.DataFrame(
        {"model": ["a", "b", "a", "b"], "step": [0, 0, 1, 1], "distance_to_mean": [0.4, 0.3, 0.2, 0.5]}
    )
    assert half_way(table, ["b", "a"]) == [0.15, 0.1]


@pytest.mark.parametrize("w", [0.5, 0.7071, 0.85])
def test_weights_give_the_target_w_and_the_auxiliaries_alike(w: float) -> None:
    first, second, third = mixing_coefficients(tuple(weights_of(w, 3)), "nested")
    assert first == pytest.approx(w) and second == pytest.approx(third)
    assert mixing_coefficients(tuple(weights_of(w, 2)), "nested")[0] == w


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("window", "steps"), [(Window(0, 2), 2), (Window(0, 2), 20), (Window(2, 5), 20)])
def test_the_short_list_costs_no_more_than_the_letter(count: int, window: Window, steps: int) -> None:
    published: dict[str, Any] = plain_aggregation(load_profile("mini").method(PUBLISHED[count]))
    found = short_list(window, [0.1] * count, "separate", published, steps)
    costs = {}
    for name, one in found.items():
        composition = composition_type(one["semantics"]).model_validate(one)
        composition.check(count, steps)
        costs[name] = sum(composition.evaluations(count, steps))
    most = most_of(window, count, steps)
    assert max(costs.values()) == most == costs["the letter, w 0.5"] and costs["switch"] == steps
    assert len(found) == 13 and found["the authors' code, w 0.5"]["eta"] == published["eta"]


def test_the_best_has_no_failed_pictures_and_then_most_of_the_first_metric_that_differs() -> None:
    table = pd.DataFrame(
        {"failed": [1, 0, 0, 0], "isr": [0.9, 0.5, 0.5, None], "style": [0.9, 0.1, 0.2, 0.9]}, index=list("abcd")
    )
    assert best_of(table, ["isr", "style"]) == "c" and best_of(table, ["isr", "place"]) == "b"


def test_a_window_begins_with_step_3_at_the_latest() -> None:
    late = pd.DataFrame({"k": [0, 1, 2, 3, 4, 6, 20], "isr": [0.2, 0.2, 0.2, 0.25, 0.1, 0.6, 0.9]})
    assert choose_window(late, ["isr"]) == Window(0, 6, "isr")
    dip = late.assign(isr=[0.2, 0.2, 0.2, 0.1, 0.05, 0.6, 0.9])
    assert choose_window(dip, ["isr"]) == Window(3, 6, "isr")
