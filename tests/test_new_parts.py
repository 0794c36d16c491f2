"""A new model, composition, detector and metric are a file each and a line in their registry."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from amdm.compositions.registry import COMPOSITIONS
from amdm.errors import InputError
from amdm.layout import Layout
from amdm.models.full_size import build_models
from amdm.models.registry import MODELS, Registered
from amdm.presets.profile import load_profile
from bench import evaluate
from bench.cocomig.metrics import METRICS
from bench.detectors.registry import DETECTORS
from bench.run.read import read_table
from bench.run.verify import verify_run
from tests.bench.fakes import paint
from tests.toys.metric import METRIC
from tests.toys.model import Push

STEPS = {"num_inference_steps": 3, "guidance_scale": 2.0}
METHODS: dict[str, dict[str, Any]] = {
    "push": {"models": ["push"], "settings": {"push": {"push": 0.5}}},
    "push+migc": {
        "models": ["push", "migc"],
        "settings": {"all": STEPS},
        "aggregation": {"semantics": "paper", "s": 1, "weights": [0.5], "eta": [0.1, 0.1], "eta_unit": "sqrt_dim"},
    },
    "push+migc@mean": {
        "models": ["push", "migc"],
        "settings": {"all": STEPS},
        "aggregation": {"semantics": "mean", "weights": [1.0, 3.0]},
    },
}


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that register the toys, and presets that name them."""
    monkeypatch.setitem(MODELS, "push", Registered("tests.toys.model:SPEC", "tests.toys.model:PushSettings"))
    monkeypatch.setitem(COMPOSITIONS, "mean", "tests.toys.composition:MeanPrediction")
    monkeypatch.setitem(DETECTORS, "toy", "tests.toys.detector")
    monkeypatch.setitem(METRICS, METRIC.name, METRIC)
    presets = yaml.safe_load((files("amdm.presets") / "mini.yaml").read_text(encoding="utf-8"))
    presets["models"]["push"] = STEPS
    presets["methods"] |= METHODS
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "mini.yaml").write_text(yaml.safe_dump(presets), encoding="utf-8")
    monkeypatch.setattr("amdm.presets.profile.files", lambda package: folder)


@pytest.mark.parametrize(
    ("method", "evaluations"),
    [("push", {"push": 3}), ("push+migc", {"push": 3, "migc": 1}), ("push+migc@mean", {"push": 3, "migc": 3})],
)
def test_toys_make_a_table(toys: None, tmp_path: Path, method: str, evaluations: dict[str, int]) -> None:
    settings = load_profile("mini").method(method)
    assert settings.composition.evaluations(len(settings.models), settings.steps) == list(evaluations.values())
    result = evaluate(method, limit=5, detector="toy", out=tmp_path / "run", device="cpu")
    assert result.failures == 0 and verify_run(result.folder) == []
    samples = read_table(result.folder, "samples").query("method == @method")
    assert [json.loads(text) for text in samples["evaluations"]] == [evaluations] * 5
    assert {"miscoloured", "miscoloured_low"} <= set(result.metrics.columns)
    summary = json.loads((tmp_path / "reports" / "run" / "summary.json").read_text())
    assert "miscoloured" in summary["results"][method]


def test_a_toy_metric_is_counted_by_a_toy_detector(toys: None, tmp_path: Path) -> None:
    def in_red(layouts: list[Layout], seeds: list[int]) -> list[np.ndarray]:
        phrases = [
            replace(one, instances=tuple(replace(i, phrase="a red x") for i in one.instances)) for one in layouts
        ]
        return list(paint("exact", phrases, ["k"] * len(layouts)).images)

    metrics = evaluate(in_red, limit=5, detector="toy", out=tmp_path / "run").metrics
    row = metrics.query("method == 'in_red' and level == 'Avg'").iloc[0]
    assert 0 < row["miscoloured"] < 1 and row["miscoloured"] == pytest.approx(row["wrong_colour"] / row["place"])


def test_toys_have_settings_that_are_checked(toys: None) -> None:
    mini = load_profile("mini")
    assert mini.methods["push"].settings["push"].model_dump()["push"] == 0.5
    with pytest.raises(InputError, match=r"^methods\.push\.settings\.push\.push: .*less than or equal to 1"):
        mini.method("push", ["settings.push.push=2"])
    with pytest.raises(InputError, match=r"^methods\.push\+migc@mean\.aggregation\.weights: 1 weights for 2 models"):
        mini.method("push+migc@mean", ["aggregation.weights=[1]"])
    with pytest.raises(InputError, match=r"aggregation\.s: is not a field here; there are: semantics, weights "):
        mini.method("push+migc@mean", ["aggregation.s=3"])


def test_a_toy_model_is_built_at_full_size_on_the_base_of_others(toys: None) -> None:
    models = build_models(["stable_diffusion", "push"])
    assert isinstance(models["push"], Push)
    base = {id(parameter) for parameter in models["stable_diffusion"].unet.parameters()}
    assert {id(parameter) for parameter in models["push"].unet.parameters()} == base
