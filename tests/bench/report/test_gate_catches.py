"""The regression gate sees an aggregation that was broken on purpose: the two models' weights swapped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.benchmark import run_benchmark
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.report.gate import check_regression, make_baseline

METHOD = "interactdiffusion+migc"


def test_swapped_weights_fail_the_gate(tmp_path: Path) -> None:
    job = Job("mini", "mini", (METHOD,), (0,), 16, 25)
    good, _ = run_benchmark(Plan.resolve(job), tmp_path / "good", tmp_path / "reports", workers=1)
    baseline = tmp_path / "baseline.json"
    make_baseline(good, baseline, "first")
    assert not check_regression(good, baseline).failures

    swapped = replace(job, overrides=("aggregation.weights=[0.8660254]",))
    bad, _ = run_benchmark(Plan.resolve(swapped), tmp_path / "bad", tmp_path / "reports", workers=1)
    result = check_regression(bad, baseline)
    assert any(f"{METHOD} Avg isr" in failure for failure in result.failures), result.report
    assert "lost" in result.report
