"""How far the mix is from each model's mean, and how far the pull-back goes: with the shipped mini models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amdm.errors import InputError
from amdm.methods import load_methods
from bench.benchmark import run_benchmark
from bench.generators.pull_back import pull_back_table, with_pull_back
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.layouts.named import load_layouts
from bench.run.read import read_table
from tests.bench.conftest import JobRunner

BOTH = "interactdiffusion+migc"
NAMES = (BOTH, f"{BOTH}@paper", f"{BOTH}@paper-eta-0", f"{BOTH}@paper-separate", "switch", "interactdiffusion+itself")
MODELS = ["interactdiffusion", "migc"]


@pytest.fixture(scope="module")
def drawn() -> dict[str, pd.DataFrame]:
    """By method: distance and η, a column a model, a row a sample."""
    layouts = [entry.layout for entry in load_layouts("mini").entries[:4]]
    keys = [f"k/{k}" for k in range(4)]
    found = {}
    for name, method in load_methods("mini", NAMES).items():
        made, plain = with_pull_back(method, layouts, keys), method.generate(layouts, keys)
        np.testing.assert_array_equal(made.images, plain.images)  # looking changes nothing
        assert (made.finite, made.evaluations) == (plain.finite, plain.evaluations)
        found[name] = pd.json_normalize(made.pull_back)
    return found


def test_the_letters_pull_back_takes_the_mix_back(drawn: dict[str, pd.DataFrame]) -> None:
    letter = drawn[f"{BOTH}@paper"]
    for model, eta in zip(MODELS, (0.3516, 0.4297), strict=True):
        np.testing.assert_allclose(letter[f"{model}.eta"], eta, rtol=1e-5)
        assert (letter[f"{model}.distance_to_mean"].between(0.3, 0.45)).all()
    np.testing.assert_allclose(drawn[f"{BOTH}@paper-eta-0"].filter(like="eta"), 0, atol=1e-7)
    # Where each model has noise of its own, the target is further away, so that the same η leaves half of the mix.
    assert (drawn[f"{BOTH}@paper-separate"]["interactdiffusion.distance_to_mean"] > 0.6).all()
    assert drawn["switch"].empty  # nothing is pulled back
    assert set(drawn["interactdiffusion+itself"]) == {
        f"{model}.{what}"
        for model in ("interactdiffusion", "interactdiffusion#2")
        for what in ("distance_to_mean", "eta")
    }


def test_a_run_stores_and_tabulates_it(fake_judge: None, tmp_path: Path) -> None:
    job = Job("mini", "mini", ("interactdiffusion", f"{BOTH}@paper"), (0,), 4, 5)
    job = Job(**{**vars(job), "overrides": ("settings.all.num_inference_steps=4",)})
    folder, failures = run_benchmark(Plan.resolve(job), tmp_path / "run", tmp_path / "reports", 1)
    assert failures == 0
    samples = read_table(folder, "samples").set_index("method")
    assert (
        samples.loc["interactdiffusion", "pull_back"].isna().all() and samples.loc["ceiling", "pull_back"].isna().all()
    )
    stored = [json.loads(text) for text in samples.loc[f"{BOTH}@paper", "pull_back"]]
    table = pd.read_csv(tmp_path / "reports" / "run" / "pull_back.csv").set_index(["method", "model"])
    assert list(table.index) == [(f"{BOTH}@paper", model) for model in MODELS]
    for model in MODELS:
        row = table.loc[(f"{BOTH}@paper", model)]
        mean = np.mean([one[model]["distance_to_mean"] for one in stored])
        assert row.distance_to_mean == pytest.approx(mean, abs=1e-6) and row["samples"] == 5
    page = (tmp_path / "reports" / "run" / "table1.md").read_text(encoding="utf-8")
    assert "## Pull-back" in page and "0.3516" in page and "0.4297" in page


def test_a_run_that_pulls_nothing_back_has_no_such_table(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run_fake_job()
    assert not (tmp_path / "reports" / "run" / "pull_back.csv").exists()


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "3", "[" * 100_000, '{"a": 3}', '{"a": {"eta": 1}}'),
        *('{"a": {"eta": 1, "distance_to_mean": NaN}}', '{"a": {"eta": [1], "distance_to_mean": 2}}'),
        *('{"a": {"eta": 1, "distance_to_mean": "inf"}}', '{"a": {"eta": 1, "distance_to_mean": 1%s}}' % ("0" * 400)),
    ],
)
def test_what_no_run_records_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"samples\.pull_back"):
        pull_back_table(pd.DataFrame({"method": ["m"], "pull_back": [text]}))
