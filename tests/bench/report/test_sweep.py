"""The Pareto front of a sweep."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.report.sweep import pareto_front


def front(rows: list[tuple[float, float]], status: str = "ok") -> list[int]:
    table = pd.DataFrame(rows, columns=["evaluations", "isr"]).assign(status=status)
    return pareto_front(table.assign(trial=range(len(rows))), "isr").trial.tolist()


def test_no_trial_of_the_front_is_beaten() -> None:
    rows = [(20, 0.3), (24, 0.5), (24, 0.6), (30, 0.6), (40, 0.7), (22, 0.2), (60, 0.65)]
    assert front(rows) == [0, 2, 4]


def test_of_equal_trials_the_first_stands() -> None:
    assert front([(20, 0.3), (20, 0.3), (20, 0.1)]) == [0]


def test_what_was_not_measured_does_not_count() -> None:
    assert front([(20, 0.9)], "failed") == [] and front([(20, np.nan), (30, 0.0)]) == [1]
