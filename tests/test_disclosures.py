"""What README and docs say of the schedules and of the controls is so."""

from __future__ import annotations

import inspect
import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from diffusers import DDIMScheduler

from amdm.checkpoints.assemble import files_of_models
from amdm.mini.sizes import SCHEDULE as MINI
from amdm.models.full_size import SCHEDULE as FULL
from amdm.presets.profile import load_profile
from bench.cli.main import CONTROL_METHODS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
STEPS = {"mini": 20, "paper": 50}
BOTH = "interactdiffusion+migc"


def log_snr(schedule: dict[str, Any], steps: int | None = None) -> np.ndarray:
    """log(ᾱ/(1 − ᾱ)) at each step; without ``steps`` at each timestep of training."""
    scheduler = DDIMScheduler(**schedule)
    alpha_bar = scheduler.alphas_cumprod.numpy().astype(np.float64)
    if steps is not None:
        scheduler.set_timesteps(steps)
        alpha_bar = alpha_bar[scheduler.timesteps.numpy()]
    return np.log(alpha_bar / (1 - alpha_bar))


def row(name: str) -> list[str]:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {name}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def numbers(text: str) -> list[float]:
    return [float(one.replace("−", "-")) for one in re.findall(r"−?\d+(?:\.\d+)?", text)]


def test_the_schedules_are_as_the_documents_say() -> None:
    last = [float(DDIMScheduler(**schedule).alphas_cumprod[-1]) for schedule in (MINI, FULL)]
    for value, cell in zip(last, row("ᾱ at the last"), strict=True):
        assert numbers(cell) == [pytest.approx(value, rel=0.01)] and cell in RESULTS
    assert [numbers(cell)[0] for cell in row("T")] == list(STEPS.values())
    for schedule, steps, cell in zip((MINI, FULL), STEPS.values(), row("log("), strict=True):
        found = log_snr(schedule, steps)[:4]
        np.testing.assert_allclose(numbers(cell), found, atol=0.0051)
        ends = f"{found[0]:.1f} … {found[-1]:.1f}".replace("-", "−")
        assert ends in RESULTS.replace("\n", " "), ends


def test_the_mini_models_never_saw_the_noise_of_stable_diffusion_s_first_steps() -> None:
    least = log_snr(MINI).min()
    noisier = [int((log_snr({**MINI, "beta_end": FULL["beta_end"]}, steps) < least).sum()) for steps in (10, 20, 50)]
    page = " ".join(PAGE.split())
    assert f"log(ᾱ/(1 − ᾱ)) = {least:.2f}".replace("= -", "= −") in page
    assert "the first {}, {} and {} are noisier".format(*noisier) in page


def test_the_windows_are_the_presets() -> None:
    for profile, steps in STEPS.items():
        methods = load_profile(profile).methods
        windows = {}
        for name in (BOTH, f"{BOTH}@paper"):
            settings = methods[name]
            assert settings.steps == steps and settings.aggregation is not None
            windows[name] = list(settings.aggregation.config().steps(steps))
        assert windows == {BOTH: [1, 2, 3], f"{BOTH}@paper": [0, 1, 2]}


def test_no_preset_adds_noise_between_steps() -> None:
    """σ_t = 0: aggregated models step by DDIM, whose eta the sampler leaves at its default of 0."""
    assert inspect.signature(DDIMScheduler.step).parameters["eta"].default == 0.0
    source = (ROOT / "amdm" / "sampler.py").read_text(encoding="utf-8")
    calls = re.findall(r"scheduler\.step\((.*)\)", source)
    assert calls and not any("eta" in call for call in calls)
    for profile in STEPS:
        for name, one in load_profile(profile).methods.items():
            if one.aggregation is not None:
                assert {one.settings[model].scheduler for model in one.models} == {"ddim"}, name


def test_the_three_model_preset_differs_from_the_authors_page_as_said() -> None:
    assert "sd15-unet" in files_of_models(["ip-adapter"]) and "sd15-unet" not in files_of_models(["migc"])
    migc = load_profile("paper").methods[f"{BOTH}+ip-adapter"].settings["migc"].model_dump()
    assert (migc["migc_steps"], migc["naive_fuser_steps"]) == (20, -1)
    changes = ["settings.migc.naive_fuser_steps=5", "settings.migc.migc_steps=5"]
    changed = load_profile("paper").method(f"{BOTH}+ip-adapter", changes).settings["migc"].model_dump()
    assert (changed["migc_steps"], changed["naive_fuser_steps"]) == (5, 5)
    assert all(f"--set {change}" in PAGE.replace("\n", " ") for change in changes)


@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_each_arm_differs_from_the_letter_or_the_authors_in_one_thing(profile: str) -> None:
    methods = load_profile(profile).methods
    assert set(CONTROL_METHODS) <= set(methods)

    def differing(one: str, other: str) -> set[str]:
        first, second = (methods[name].describe() for name in (one, other))
        inner = {f for f in first["aggregation"] if first["aggregation"][f] != second["aggregation"][f]}
        return {f for f in first if f != "aggregation" and first[f] != second[f]} | inner

    letter = f"{BOTH}@paper"
    for arm in ("eta-0", "eta-0.1", "eta-0.2-0.25"):
        assert differing(letter, f"{letter}-{arm}") - {"eta_unit"} == {"eta"}
    assert differing(letter, f"{letter}-separate") == {"initial_noise"}
    assert differing(BOTH, f"{BOTH}@shared") == {"initial_noise"}


def test_the_tables_of_results_are_what_the_reports_make_of_them() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "readme_tables.py"))
    assert set(script["CONTROLS"]) == set(CONTROL_METHODS) - {"interactdiffusion"}
    for name, tables in script["PAGES"].items():
        page = (ROOT / name).read_text(encoding="utf-8")
        assert script["filled"](page, tables) == page, f"{name}: python scripts/readme_tables.py"
        other = page.replace("| MIGC | 9", "| MIGC | 1")
        assert other != page and script["filled"](other, tables) == page


def measured_intervals() -> set[tuple[str, ...]]:
    """(value, low, high) in points of every difference in the reports, and of its negative, as pages write them."""
    found = list[tuple[float, float, float]]()
    for path in (ROOT / "reports").rglob("*.csv"):
        table = pd.read_csv(path)
        for low in (name for name in table if name == "low" or name.endswith("_low")):
            name = low.removesuffix("low").removesuffix("_").removeprefix("simultaneous").removeprefix("_")
            value = next((one for one in (name, "difference", "gain") if one in table), None)
            if value and (high := low.removesuffix("low") + "high") in table:
                found += table[[value, low, high]].dropna().itertuples(index=False)
    for path in (ROOT / "reports").rglob("advice.json"):
        gains = json.loads(path.read_text(encoding="utf-8"))["gains"]
        found += [(one["difference"], one["low"], one["high"]) for one in gains]
    signed = [*found, *((-value, -high, -low) for value, low, high in found)]
    return {tuple(f"{100 * number:+.1f}" for number in one) for one in signed}


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_every_interval_in_the_text_is_one_that_was_measured(page: str) -> None:
    """Those of tables are made by scripts/readme_tables.py."""
    lines = (ROOT / page).read_text(encoding="utf-8").replace("−", "-").splitlines()
    text = " ".join(line for line in lines if not line.startswith("|"))
    number = r"([+-]?\d+\.\d)"
    said = re.findall(rf"(?:{number}[^\d\[]*)?\[{number}, +{number}\]", text)
    assert len(said) > 6
    known = measured_intervals()
    bounds = {one[1:] for one in known}
    assert not [one for one in said if (one not in known if one[0][:1] in {"+", "-"} else one[1:] not in bounds)]


def test_what_is_said_of_the_picture_of_the_effect_is_counted() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "effect_counts.py"))
    tables = (
        pd.read_parquet(ROOT / "reports" / "combined" / f"{name}.parquet") for name in ("verdicts", "interactions")
    )
    right = script["right_pictures"](*tables, (script["AGGREGATE"], *script["ALONE"]))
    gained, shares = script["effect_counts"](right, script["AGGREGATE"], script["ALONE"])
    own, target, auxiliary = (f"{100 * share:.1f} %" for share in shares.values())
    said = " ".join(RESULTS.split("## The picture")[1].split())
    assert f"{gained} of the {len(right)} are such" in said and f"in {own} of the layouts" in said
    assert f"InteractDiffusion in {target}, MIGC in {auxiliary}" in said


def test_effect_counts_take_every_instance_and_action() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "effect_counts.py"))
    rows = [
        (method, layout, attr) for layout in range(4) for method, attr in (("both", 1), ("a", layout == 3), ("b", 0))
    ]
    rows += [("both", 1, 0)]  # a second instance
    verdicts = pd.DataFrame(rows, columns=["method", "layout_index", "attr"]).assign(seed=0)
    interactions = pd.DataFrame({"method": ["both"], "layout_index": [2], "seed": [0], "outcome": ["none"]})
    names = ("both", "a", "b")
    right = script["right_pictures"](verdicts, interactions, names)
    assert script["effect_counts"](right, "both", ("a", "b")) == (1, {"both": 0.5, "a": 0.25, "b": 0.0})
    failed = verdicts[(verdicts.method != "a") | (verdicts.layout_index != 0)]  # where both alone is right
    right = script["right_pictures"](failed, interactions, names)
    assert len(right) == 3 and script["effect_counts"](right, "both", ("a", "b"))[0] == 0


def test_a_number_is_rounded_as_in_its_table() -> None:
    table = pd.read_csv(ROOT / "reports" / "combined" / "joint.csv").set_index("method")
    style = f"{table.loc['ip-adapter@combined', 'style']:.1f}"
    assert f"IP-Adapter's style 80 ({style})" in RESULTS and f"| IP-Adapter | 3.2 | 38.5 | – | {style} |" in RESULTS
    assert f"style from 76.7 to {style} %" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"79.3, {style} ([results]" in (ROOT / "amdm" / "mini" / "MODEL_CARD.md").read_text(encoding="utf-8")
