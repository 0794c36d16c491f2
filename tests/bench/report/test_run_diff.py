from __future__ import annotations

import json

import pytest

from bench.report.run_diff import diff_markdown, run_diff
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info
from tests.bench.report.test_gate import lose


def test_settings_and_metrics_that_differ_are_shown(run_fake_job: JobRunner) -> None:
    first, second = run_fake_job("first"), run_fake_job("second", methods=("migc",), limit=10)
    change_info(second, weights={"unet": "xyz"})
    found = json.loads(json.dumps(run_diff(first, second)))
    settings = {row["field"]: (row["first"], row["second"]) for row in found["settings"]}
    assert settings["limit"] == (25, 10) and settings["weights.unet"] == ("abc", "xyz")
    assert any(name.startswith("method_settings.interactdiffusion.") for name in settings)
    alone = next(row for row in found["metrics"] if row["method"] == "interactdiffusion")
    assert alone["second"] is None and alone["difference"] is None and 0 < alone["first"] <= 1
    page = diff_markdown(found)
    assert "- weights.unet: 'abc', 'xyz'" in page and "| interactdiffusion | ISR" in page


def test_the_second_less_the_first(run_fake_job: JobRunner) -> None:
    first, second = run_fake_job("first"), run_fake_job("second")
    lose(second, "migc", 4, 3)
    found = run_diff(first, second)
    assert found["settings"] == [] and "The settings are the same." in diff_markdown(found)
    rows = {(row["method"], row["metric"]): row["difference"] for row in found["metrics"]}
    assert rows["migc", "isr"] == pytest.approx(-3 / 100) and rows["interactdiffusion", "isr"] == 0
