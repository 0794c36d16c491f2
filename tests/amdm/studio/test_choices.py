"""Models and settings of the page, as presets and overrides."""

from __future__ import annotations

from typing import Any

import pytest

from amdm.compositions.registry import COMPOSITIONS
from amdm.errors import InputError
from amdm.presets.profile import load_profile
from amdm.studio.choices import Choices, models_of, usual

TEXTS: dict[str, Any] = {"s": 3, "weights": "0.5", "eta": "0.3516, 0.4297", "steps": 20, "seed": 0}
BOXES = ("instances",)


def choices(
    target: Any = "interactdiffusion", others: Any = ("migc",), semantics: Any = "official", **changes: Any
) -> Choices:
    return Choices.read("mini", target, list(others), semantics, **TEXTS | changes)


def test_each_model_alone_and_all_together() -> None:
    runs = choices().runs(BOXES)
    assert [(run.title, run.preset, run.overrides) for run in runs] == [
        ("interactdiffusion alone", "interactdiffusion", ()),
        ("migc alone", "migc", ()),
        ("together", "interactdiffusion+migc", ()),
    ]
    assert [run.title for run in choices(others=()).runs(BOXES)] == ["interactdiffusion alone"]


def test_only_what_differs_from_the_preset_is_said() -> None:
    *_, together = choices(s=5, steps=30, eta="0.1, 0.2").runs(BOXES)
    assert together.overrides == (
        "settings.all.num_inference_steps=30",
        "aggregation.s=5",
        "aggregation.eta=[0.1, 0.2]",
    )


def test_what_no_model_reads_is_ignored_on_purpose() -> None:
    first, second, together = choices().runs(("instances", "interactions", "style"))
    assert first.overrides == together.overrides == ('ignores=["style"]',)
    assert second.overrides == ('ignores=["interactions", "style"]',)


@pytest.mark.parametrize("semantics", COMPOSITIONS)
@pytest.mark.parametrize("profile", ["mini", "paper"])
@pytest.mark.parametrize("others", [["migc"], ["migc", "ip-adapter"], ["migc", "ip-adapter", "stable_diffusion"]])
def test_the_usual_settings_fit(profile: str, semantics: str, others: list[str]) -> None:
    """Of every composition, with two, three and four models: what the fields hold before anything is typed."""
    found = usual(profile, ["interactdiffusion", *others], semantics)
    given = {name: found[name] for name in ("s", "weights", "eta", "steps")}
    chosen = Choices.read(profile, "interactdiffusion", others, semantics, **given, seed=0)
    if (semantics, len(others)) in (("projective", 1), ("official", 3)):  # no form for so few, or so many, models
        with pytest.raises(InputError, match=r"projective takes|more than three models"):
            chosen.runs((*BOXES, "style"))
        return
    run = chosen.runs((*BOXES, "style"))[-1]
    settings = load_profile(profile).method(run.preset, run.overrides)
    assert settings.models == run.models == ("interactdiffusion", *others)
    assert settings.aggregation is not None and settings.aggregation.semantics == semantics


def test_the_order_of_models_is_the_profiles() -> None:
    assert models_of("mini") == ("interactdiffusion", "migc", "ip-adapter", "stable_diffusion")
    given = {"weights": "0.5, 0.5", "eta": "0.1, 0.1, 0.1"}
    run = choices("ip-adapter", ["migc", "interactdiffusion"], **given).runs((*BOXES, "style"))[-1]
    assert run.models == ("ip-adapter", "interactdiffusion", "migc")
    assert run.file == "ip-adapter+interactdiffusion+migc.png"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "dalle"}, "unknown model 'dalle'; there are: interactdiffusion"),
        ({"others": ["../x"]}, "unknown model"),
        ({"target": "migc"}, "migc is the target, and an auxiliary too"),
        ({"semantics": "__import__('os')"}, "unknown composition"),
        ({"steps": 0}, "T is 0; it must lie in 1"),
        ({"steps": 201}, "T is 201"),
        ({"steps": 2.5}, "T must be a whole number"),
        ({"steps": None}, "T must be a whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"weights": "half"}, "w is 'half'; it must be numbers with commas"),
        ({"weights": "0.5,"}, "w is '0.5,'"),
        ({"weights": "9" * 300}, "w must be numbers"),
        ({"eta": "nan, 1"}, "η is 'nan, 1'"),
        ({"weights": "1e999"}, "w is '1e999'"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choices(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": "0.5, 0.5"}, "w: 2 weights for 2 models; needs 1"),
        ({"weights": "1.5"}, "w: is 1.5"),
        ({"eta": "0.1"}, "η: 1 step sizes for 2 models"),
        ({"eta": "-1, 1"}, "η: is -1.0; it must be a finite number of 0 or more"),
        ({"s": 30}, "s: steps 1 to 30"),
        ({"s": None}, "official needs s"),
        ({"semantics": "slerp"}, "slerp has no η: leave it empty"),
        ({"others": ["ip-adapter"]}, "give a style picture"),
    ],
)
def test_settings_that_do_not_fit_together(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choices(**changes).runs(BOXES)
