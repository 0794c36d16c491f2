"""Colours asked for and found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from amdm.errors import InputError
from bench.report.html.figures import Confusion
from bench.report.html.together import together
from bench.report.measured import Measured
from bench.report.plots.heatmap import colour_confusions, draw_heatmaps

ONE = Confusion("migc@x", ("red", "blue"), ("red", "blue", "other"), ((3, 1, 0), (0, 0, 0)))


def test_cells_hold_the_shares_of_their_row() -> None:
    (ax,) = draw_heatmaps([ONE]).axes
    assert np.asarray(ax.images[0].get_array()).tolist() == [[0.75, 0.25, 0], [0, 0, 0]]
    assert {text.get_position(): text.get_text() for text in ax.texts} == {(0, 0): "75", (1, 0): "25"}
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["red (4)", "blue (0)"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["red", "blue", "other"]
    assert ax.get_title() == "MIGC, x"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("found, per cent of the row", "asked for (in place)")


def test_each_method_has_its_own_and_runs_without_findings_none(run_measured: Callable[..., Measured]) -> None:
    run = run_measured()
    assert [one.method for one in colour_confusions(together([run], ["migc"]))] == ["migc"]
    assert len(draw_heatmaps(colour_confusions(together([run]))).axes) == 3
    with pytest.raises(InputError, match="findings: records no colours found"):
        colour_confusions(together([replace(run, findings=run.findings.iloc[:0])]))
