"""Advice: what is refused, and a small one of models that no preset combines, which goes on where it was stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from amdm.errors import InputError
from amdm.presets.profile import Profile, load_profile
from bench import Advice, advise
from bench.cli.main import main
from bench.cocomig.metrics import paired
from bench.job.conditions import judged_conditions
from bench.layouts.layout_set import content_hash
from bench.layouts.named import load_layouts
from bench.report.advice import HOLDS, WORSE
from bench.report.trial_tables import SAMPLES, Tables
from bench.run.schema import VERDICT_TABLES
from bench.studies import advise_rules
from bench.studies.advise import ADVISED, DEFAULT, Probes, gains_of, hand_over_curves
from bench.studies.advise_rules import Request
from bench.studies.settings import as_preset
from bench.studies.trials import StudyRun
from tests.bench.cocomig.test_metrics import random_table

SET = "mini-combined-tune"
SMALL: dict[str, Any] = {"limit": 2, "confirm_limit": 5, "overrides": ["settings.all.num_inference_steps=3"]}
PRESETS = load_profile("mini")


def request_of(models: str, layouts: str = SET, **changes: Any) -> Request:
    given = {"limit": 2, "confirm": None, "confirm_limit": 5, "overrides": (), **changes}
    return Request.of(models, layouts, **given)


@pytest.mark.parametrize(
    ("models", "changes", "message"),
    [
        ("migc", {}, "models: names 1; advice is on two or three"),
        ("interactdiffusion,migc,ip-adapter,stable_diffusion", {}, "models: names 4"),
        ("migc,migc", {}, "models: names a model twice"),
        ("interactdiffusion+itself", {}, "models: names a model twice"),
        ("migc,mgic", {}, "models: unknown model 'mgic'; did you mean migc?"),
        ("migc,gligen", {}, "models: unknown model 'gligen'"),
        ("migc,ip-adapter", {"layouts": "mini-tune"}, "needs a style image"),
        ("migc,ip-adapter", {"layouts": "mini-tuna"}, "layouts: unknown layout set"),
        ("migc,ip-adapter", {"confirm": "mini-combine"}, "confirm: unknown layout set"),
        ("migc,ip-adapter", {"confirm": SET}, "confirm: holds 2 of the probe layouts, the first '0'"),
        (
            "interactdiffusion,migc",
            {"confirm": "mini"},
            "confirm: are judged by isr, and the probes by joint_interaction, isr, action_given_place",
        ),
        ("migc,ip-adapter", {"limit": 25}, "limit: is 25; probes are 1 to 24 layouts"),
        ("migc,ip-adapter", {"limit": 0}, "limit: is 0"),
        ("migc,ip-adapter", {"confirm_limit": 0}, "confirm_limit: is 0; a confirming run has 1 layout or more"),
        ("migc,ip-adapter", {"overrides": ["aggregation.s=3"]}, "aggregation.s=3: is what is advised on"),
        ("migc,ip-adapter", {"overrides": ["settings.migc.guidance=3"]}, "settings.migc.guidance: is not a field here"),
        ("migc,ip-adapter", {"overrides": ["settings.all.num_inference_steps=1"]}, "num_inference_steps: leaves no"),
    ],
)
def test_what_cannot_be_advised_on_is_refused(models: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        request_of(models, **changes)


def test_a_bad_call_is_one_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["amdm-bench", "advise", "migc,ip-adapter", "--layouts", SET, "--confirm", SET])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_presets_models_and_guidance_are_taken_and_overridden() -> None:
    found = request_of("interactdiffusion+migc@projective", overrides=["settings.migc.guidance_scale=2.5"])
    assert found.models == ("interactdiffusion", "migc", "stable_diffusion")
    assert found.changes == {"interactdiffusion": {}, "migc": {"guidance_scale": 2.5}, "stable_diffusion": {}}
    short = request_of("interactdiffusion+migc", overrides=["settings.all.num_inference_steps=2"])  # its s is 3
    assert short.steps == 2 and short.published["s"] == 1


def test_probes_are_balanced_and_the_others_are_what_they_leave() -> None:
    whole = load_layouts(SET)
    for limit in (1, 7, 24):
        assert len(whole.first(limit)) == limit and whole.first(limit).hash == whole.hash
    found = request_of("migc,ip-adapter", limit=24, confirm_limit=None)
    contents = [{content_hash([one]) for one in own.entries} for own in (found.probes, found.confirming)]
    assert not contents[0] & contents[1] and len(found.confirming) == len(whole) - 24
    assert [entry.level for entry in found.probes.entries].count(2) == 5


def test_curves_begin_and_end_with_the_single_models() -> None:
    """k = 0 and k = T are not drawn: they are the pictures of the target and of the auxiliary alone."""
    request = request_of("migc,ip-adapter", overrides=["settings.all.num_inference_steps=2"])
    probes = Probes(request, StudyRun(request.probes))
    singles = probes.measure({name: request.method([name]) for name in request.models}, "alone")
    handing = {"semantics": "paper", "initial_noise": "separate", "weights": [0.0], "eta": [], "pull_back": False}
    drawn = probes.measure({str(k): request.method(request.models, {**handing, "s": k}) for k in (0, 2)}, "ends")
    alone, ends = (one.drop(columns="seconds").reset_index(drop=True) for one in (singles, drawn))
    pd.testing.assert_frame_equal(alone, ends)
    curves = hand_over_curves(probes, singles)
    assert curves.k.tolist() == [0, 1, 2] and probes.spent == 2 * 2 * (4 + 1)  # singles, the ends, and k = 1


def test_confirming_layouts_without_a_property_that_decides_are_refused(tmp_path: Path) -> None:
    own = json.loads(files("bench.layouts").joinpath("sets", "mini-combined.json").read_text())
    plain = {key: {k: v for k, v in one.items() if k != "interactions"} for key, one in own.items()}
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    with pytest.raises(InputError, match=r"confirm: are judged by isr, and the probes by joint_interaction, isr"):
        request_of("interactdiffusion,migc", confirm=str(tmp_path / "plain.json"))


def test_models_that_draw_nothing_finite_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(study: StudyRun, settings: dict[str, Any], about: str) -> Tables:
        rows = [
            (name, entry.index, 0, "failed", 1.0, "{}", None, None)
            for name in settings
            for entry in study.layout_set.entries
        ]
        empty = {name: pd.DataFrame(columns=list(columns)) for name, columns in VERDICT_TABLES.items()}
        return Tables(
            **empty,
            samples=pd.DataFrame(rows, columns=list(SAMPLES)),
            asked=judged_conditions(study.layout_set.entries),
        )

    monkeypatch.setattr("bench.studies.advise.run_trials", failing)
    with pytest.raises(InputError, match="models: none of the 2 probe pictures of migc is finite"):
        advise("migc,ip-adapter", SET, **SMALL)


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_a_number_of_processes_that_is_none_is_refused(workers: Any) -> None:
    with pytest.raises(InputError, match=r"workers: .* is not an integer of 1 or more"):
        advise("migc,ip-adapter", SET, workers=workers)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Advice]:
    monkeypatch.setattr(advise_rules, "WEIGHTS", (0.5,))
    return lambda: advise("migc,ip-adapter", SET, **SMALL, out=tmp_path / "report", keep=tmp_path / "kept")


def test_a_small_advice_has_settings_reasons_and_a_confirming_run(
    small: Callable[[], Advice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = small()
    assert set(found.tried.stage) == {"single models", "noise and η of the letter", "compositions"}
    assert found.evaluations <= 3 + 2 and found.alone == 3
    assert found.spent["probes"] > 2 * (3 + 3) and found.spent["confirming"] >= 5 * (3 + 3 + 5 + 5) - 5 * 2
    assert len(found.reasons) == 6 and found.curves.k.tolist() == [0, 1, 2, 3]
    assert set(found.gains.against) == {"the target alone", "the best single model", "the published setting"}
    assert list(found.gains.metric.unique()) == list(found.order) and found.confirmed["images"].tolist() == [5] * 4
    assert set(found.distances.noise) == {"shared", "separate"} and (found.distances.distance_to_mean > 0).all()
    report = tmp_path / "report"
    page, document = (report / "advice.md").read_text(), json.loads((report / "advice.json").read_text())
    assert page == str(found) and "## Confirming run: mini-combined-tune" in page and "none of them a probe" in page
    assert document["reasons"] == list(found.reasons) and document["spent"] == found.spent
    own = yaml.safe_load((report / "preset.yaml").read_text())
    assert "report" not in str(own)
    preset = Profile({"common": PRESETS.common, "models": PRESETS.models, **own}).methods["migc+ip-adapter@advised"]
    assert preset == as_preset(PRESETS, found.method) == PRESETS.method("migc", found.overrides)
    monkeypatch.setattr("bench.studies.trials.run_tasks", lambda *_: (_ for _ in ()))  # nothing is left to do
    assert str(small()) == page
    again = [
        "migc,ip-adapter",
        "--layouts",
        SET,
        "--limit",
        "2",
        "--confirm-limit",
        "5",
        "--set",
        SMALL["overrides"][0],
    ]
    places = ["--keep", str(tmp_path / "kept"), "--to", str(tmp_path / "cli"), "--workers", "1", "--json"]
    monkeypatch.setattr("sys.argv", ["amdm-bench", "advise", *again, *places])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    printed = json.loads(capsys.readouterr().out)
    assert end.value.code == 0 and printed["reasons"] == document["reasons"]
    assert [Path(one).name for one in printed["files"]] == ["advice.md", "advice.json", "preset.yaml"]
    assert all(Path(one).is_file() for one in printed["files"])


def test_gains_are_the_advised_less_the_other_and_hold_at_once() -> None:
    rates = {ADVISED: 0.7, "migc": 0.3, "ip-adapter": 0.1, DEFAULT: 0.95}
    verdicts = pd.concat([random_table(rate, name, k, 60) for k, (name, rate) in enumerate(rates.items())])
    tables = Tables(verdicts, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    against = {"the target alone": "migc", "the best single model": "migc", DEFAULT: DEFAULT}  # two comparisons
    found = gains_of(tables, against, ["isr"]).set_index("against")
    for why, other in against.items():
        expected = paired(tables.sums, ADVISED, other, 1 - 0.05 / 2)["isr"]
        assert found.loc[why, ["difference", "low", "high"]].tolist() == pytest.approx(expected[:3])
    assert found.difference["the target alone"] > 0.2 > 0 > found.difference[DEFAULT]
    assert found.verdict.tolist() == [HOLDS, HOLDS, WORSE]
