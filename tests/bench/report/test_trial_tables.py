"""Failed pictures are told on every page of a study."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from amdm.presets.profile import load_profile
from bench.cocomig.metrics import METRICS
from bench.report.ablation import Arm, ablation_markdown
from bench.report.advice import Advice, advice_markdown
from bench.report.compositions import Study, compositions_markdown
from bench.report.sweep import Confirmed, sweep_markdown
from bench.report.tables import TableInfo
from bench.report.trial_tables import Tables, failed_markdown

INFO = TableInfo("Title", "judge", "own", "0" * 64, 5, 5, ("a",), (0,), "command")
TOLD = "- **a: 2 pictures are not finite and are not counted.**"


def metrics(**about: Any) -> pd.DataFrame:
    own = {f"{name}{end}": [0.5] for name in METRICS for end in ("", "_low", "_high")}
    return pd.DataFrame(
        {**{name: [value] for name, value in about.items()}, **own, "evaluations": 20.0, "seconds": 1.0}
    )


def test_failed_pictures_are_counted_by_method() -> None:
    assert failed_markdown({"b": 0, "a": 2, "c": 1}) == f"{TOLD}\n- **c: 1 picture is not finite and is not counted.**"
    assert failed_markdown({"a": 0}) == ""


def test_the_page_of_a_sweep_tells_of_the_confirming_run() -> None:
    confirmed = Confirmed(metrics(method="a", failed=2), None, INFO, "s=1", "s 1")
    page = sweep_markdown(metrics(trial=0, status="ok", reason=""), metrics(trial=0), 0, confirmed, INFO, "isr")
    assert TOLD in page


def test_the_page_of_an_ablation_tells_of_its_arms() -> None:
    arms = pd.DataFrame({"T": [20], "section": "s", "arm": "a", "isr": 0.5, "failed": 2})
    strata = {"T": [20], "of": "instance", "method": "a", "stratum": "size", "value": "small", "units": 1, "layouts": 1}
    shares = dict.fromkeys(("target_right", "method_right", "gain", "simultaneous_low", "simultaneous_high"), 0.0)
    curves = pd.DataFrame({"auxiliary": ["b"], "target": "a", "k": 0})
    found = {"arms": arms, "distances": pd.DataFrame(), "hand_over": curves}
    page = ablation_markdown({**found, "strata": pd.DataFrame({**strata, **shares})}, pd.DataFrame(), INFO)
    assert TOLD in page and Arm("a", 20, "s", load_profile("mini").method("migc")).name == "a"


def test_the_page_of_an_advice_tells_of_probes_and_confirming_run() -> None:
    advice = Advice(
        models=("a", "b"),
        name="a+b",
        method={"aggregation": {"semantics": "switch"}},
        overrides=(),
        order=("isr",),
        unread=("interactions",),
        evaluations=20,
        alone=20,
        spent={"probes": 1, "confirming": 1},
        reasons=(),
        curves=metrics(auxiliary="b", k=0),
        distances=pd.DataFrame({"noise": ["shared"], "step": 0, "model": "a", "distance_to_mean": 0.1}),
        tried=metrics(stage="s", method="a", failed=1),
        confirmed=metrics(method="a", failed=2),
        gains=pd.DataFrame(),
        probes=INFO,
        confirming=INFO,
    )
    page = advice_markdown(advice)
    assert "- **a: 1 picture of the probes is not finite" in page
    assert "- **a: 2 pictures of the confirming run are not finite" in page
    assert "Layouts also ask for interactions, which none of the models reads: not judged here." in page


@pytest.mark.parametrize(
    ("dropped", "joint"),
    [((), 0), (("interactions",), 1), (("style",), 0), (("interactions", "style"), None)],
)
def test_what_is_left_out_no_longer_decides_what_is_right_together(dropped: tuple[str, ...], joint: int | None) -> None:
    sample = {"method": "a", "layout_index": 0, "seed": 0}
    about = {"level": 2, "colour": "red", "category": "ring", "box_area": 0.1}
    right = {"detected": True, "iou": 1.0, "success": True, "attr": True, "miou": 1.0}
    verdicts = pd.DataFrame([{**sample, **about, **right, "instance": k} for k in range(2)])
    wrong = pd.DataFrame([{**sample, "interaction": 0, "subject": 0, "object": 1, "outcome": "other"}])
    style = pd.DataFrame([{**sample, "success": True}])
    asked = pd.DataFrame({"layout_index": [0], "interactions": 1, "styles": 1})
    sums = Tables(verdicts, wrong, style, pd.DataFrame(), asked).without(dropped).sums
    assert sums.get("joint_pictures", pd.Series([None])).item() == joint
    assert ("joint_interactions" in sums) == ("interactions" not in dropped and joint is not None)
    assert ("styles_right" in sums) == ("style" not in dropped)


def test_the_page_of_compositions_tells_of_a_method_without_a_picture() -> None:
    none = pd.DataFrame()
    joint = pd.DataFrame({"method": ["b"], "group": "T + 4"})
    study = Study({"b": "T + 4"}, {"T + 4": 24}, {"b": "s 1"}, {}, (), none, none, "5 layouts")
    assert TOLD in compositions_markdown(joint, none, none, {"a": 2}, study, INFO)
