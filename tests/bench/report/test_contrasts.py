"""Methods against each other: every pair, and intervals that hold for all of them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.cocomig.metrics import image_sums, metric_table, paired
from bench.report.contrasts import contrasts, contrasts_markdown, differences, differences_markdown
from tests.bench.cocomig.test_metrics import random_table, table
from tests.bench.conftest import JobRunner

NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def verdicts() -> pd.DataFrame:
    return pd.concat([random_table(rate, name, k, 80) for k, (name, rate) in enumerate(zip(NAMES, (0.2, 0.5, 0.5, 1)))])  # noqa: B905


def test_every_pair_stands_there_once(verdicts: pd.DataFrame) -> None:
    found = contrasts(image_sums(verdicts), NAMES)
    assert list(zip(found.other, found.method, strict=True)) == list(combinations(NAMES, 2))
    assert set(found.comparisons) == {6} and set(found.pairs) == {80} and set(found.unpaired) == {0}
    average = metric_table(verdicts, intervals=False).query("level == 'Avg'").set_index("method")
    for row in found.to_dict("records"):
        for metric in ("isr", "miou"):
            expected = average.loc[row["method"], metric] - average.loc[row["other"], metric]
            assert row[metric] == pytest.approx(expected)


def test_the_simultaneous_interval_is_bonferronis(verdicts: pd.DataFrame) -> None:
    found = contrasts(image_sums(verdicts), NAMES).set_index(["other", "method"]).loc[("a", "b")]
    sums = image_sums(verdicts)
    alone, strict = paired(sums, "b", "a")["isr"], paired(sums, "b", "a", 1 - 0.05 / 6)["isr"]
    assert (found.isr_low, found.isr_high) == pytest.approx(alone[1:3])
    assert (found.simultaneous_isr_low, found.simultaneous_isr_high) == pytest.approx(strict[1:3])
    assert strict.low < alone.low < alone.high < strict.high
    ratio = (strict.high - strict.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(2.70 / 1.99, rel=0.01)  # Student's quantiles of 81 degrees of freedom


def test_simultaneous_intervals_hold_together() -> None:
    """Five methods that do not differ: some interval of a single pair misses 0 far more often than 5 %."""
    missed = {"": 0, "simultaneous_": 0}
    for k in range(40):
        rates = [random_table(0.5, name, 100 * k + n, 60) for n, name in enumerate("abcde")]
        found = contrasts(image_sums(pd.concat(rates)), list("abcde"))
        for prefix in missed:
            missed[prefix] += bool(((found[f"{prefix}isr_low"] > 0) | (found[f"{prefix}isr_high"] < 0)).any())
    assert missed["simultaneous_"] <= 5 < missed[""]


def test_the_section_says_how_many_were_compared(verdicts: pd.DataFrame) -> None:
    page = contrasts_markdown(contrasts(image_sums(verdicts), NAMES))
    assert page.startswith("## All pairs\n") and "all 6 comparisons" in page and "Bonferroni" in page
    assert page.count(" − ") == 6 and "| d − c" in page
    assert contrasts_markdown(contrasts(image_sums(verdicts), NAMES[:2])) == ""  # the same as the difference above it


def test_a_single_layout_has_differences_without_intervals() -> None:
    alone = pd.concat([table({0: letters}, name) for name, letters in (("a", "cc"), ("b", "cp"), ("c", "pp"))])
    page = differences_markdown(differences(image_sums(alone), ["a", "b", "c"])) + contrasts_markdown(
        contrasts(image_sums(alone), list("abc"))
    )
    assert "-50.00 [no interval]" in page and "nan" not in page
    assert np.isnan(contrasts(image_sums(alone), list("abc")).isr_low).all()


def test_what_was_not_judged_is_left_out(verdicts: pd.DataFrame) -> None:
    sums = image_sums(verdicts)
    assert set(contrasts(sums, ["a", "gone", "c", "d"]).method) == {"c", "d"}
    assert contrasts(sums, ["a", "gone"]).empty and differences(sums, ["gone", "a"]).empty


def test_methods_of_other_seeds_are_not_compared(verdicts: pd.DataFrame) -> None:
    others = verdicts[verdicts.method.isin(["b", "d"])].assign(seed=1)
    sums = image_sums(pd.concat([verdicts[verdicts.method.isin(["a", "c"])], others]))
    assert differences(sums, NAMES).method.tolist() == ["c"] and differences(sums, ["a", "b"]).empty
    found = contrasts(sums, NAMES)
    assert list(zip(found.other, found.method, strict=True)) == [("a", "c"), ("b", "d")]
    assert set(found.comparisons) == {2}
    alone = contrasts(sums, ["a", "b", "d"])  # the first has no difference from either: this pair stands nowhere else
    assert list(zip(alone.other, alone.method, strict=True)) == [("b", "d")]


def test_a_run_has_them_as_file_and_section(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run_fake_job(methods=("interactdiffusion", "migc", "switch"))
    report = tmp_path / "reports" / "run"
    stored = pd.read_csv(report / "contrasts.csv")
    assert list(zip(stored.method, stored.other, strict=True)) == [
        *(("migc", "interactdiffusion"), ("switch", "interactdiffusion"), ("switch", "migc"))
    ]
    assert "all 3 comparisons" in (report / "table1.md").read_text(encoding="utf-8")
