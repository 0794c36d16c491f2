"""The regression gate sees an aggregation that was broken on purpose: the two models' weights swapped."""

from __future__ import annotations

from pathlib import Path

import pytest

import amdm.config
from amdm.config import load_profile
from bench.job import Job, run_job
from bench.regression import check_regression, make_baseline

METHOD = "interactdiffusion+migc"


def test_swapped_weights_fail_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("mini", "mini", (METHOD,), (0,), 16, 25)
    good, _ = run_job(job, tmp_path / "good", tmp_path / "reports", workers=1)
    baseline = tmp_path / "baseline.json"
    make_baseline(good, baseline, "first")
    assert not check_regression(good, baseline).failures

    profile = load_profile("mini")
    swapped = profile.methods[METHOD].aggregation.model_copy(update={"weights": (0.75**0.5,)})
    methods = profile.methods | {METHOD: profile.methods[METHOD].model_copy(update={"aggregation": swapped})}
    broken = profile.model_copy(update={"methods": methods})
    for module in ("amdm.config", "amdm.methods", "bench.job"):
        monkeypatch.setattr(f"{module}.load_profile", lambda name: broken)
    assert amdm.config.load_profile("mini") is broken
    bad, _ = run_job(job, tmp_path / "bad", tmp_path / "reports", workers=1)
    result = check_regression(bad, baseline)
    assert any(f"{METHOD} Avg isr" in failure for failure in result.failures), result.report
    assert "lost" in result.report
