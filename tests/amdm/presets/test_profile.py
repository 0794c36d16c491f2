"""Presets: what a method's settings are, what can be overridden, and each mistake as one error that names its field."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from amdm.presets.profile import PROFILES, Profile, load_profile
from amdm.presets.settings import MethodSettings


def content() -> dict[str, Any]:
    return {
        "common": {"height": 64, "width": 64, "negative_prompt": ""},
        "models": {
            "interactdiffusion": {"num_inference_steps": 20, "guidance_scale": 4.0},
            "migc": {"num_inference_steps": 20, "guidance_scale": 4.0},
        },
        "methods": {
            "both": {
                "models": ["interactdiffusion", "migc"],
                "settings": {"all": {"guidance_scale": 5}, "migc": {"migc_steps": 9}},
                "aggregation": {"semantics": "paper", "s": 3, "weights": [0.5], "eta": [1, 2]},
            }
        },
    }


def test_settings_of_a_method_are_the_models_then_all_then_its_own() -> None:
    both = Profile(content()).methods["both"]
    assert both.describe()["settings"]["migc"]["migc_steps"] == 9
    assert both.describe()["settings"]["migc"]["guidance_scale"] == 5
    assert both.describe()["settings"]["interactdiffusion"]["guidance_scale"] == 5
    assert both.aggregation is not None and both.aggregation.config().eta == (1.0, 2.0)


def test_overrides_win_and_are_read_as_yaml() -> None:
    changes = [
        "aggregation.s=5",
        "settings.all.num_inference_steps=7",
        "settings.migc.guidance_scale=1.5",
        "phrases=category",
    ]
    both = Profile(content()).method("both", [*changes, "aggregation.eta=[3, 4]"])
    assert both.aggregation is not None and (both.aggregation.s, both.aggregation.eta) == (5, (3.0, 4.0))
    assert both.steps == 7 and both.settings["migc"].guidance_scale == 1.5
    assert both.settings["interactdiffusion"].guidance_scale == 5 and both.phrases == "category"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("aggregation.t=3", "methods.both.aggregation.t"),
        ("settings.migc.scale=1", "settings.migc.scale"),
        ("settings.gligen.guidance_scale=1", "settings.gligen"),
        ("settings.migc.guidance_scale=__import__('os')", "settings.migc.guidance_scale"),
        ("settings.migc.scheduler=ddpm", "settings.migc.scheduler"),
        ("height=70", "methods.both.height"),
        ("models=[interactdiffusion]", "settings.migc"),
        ("aggregation=null", "aggregation"),
        ("seed=1", "methods.both.seed"),
        ("s", "'s' is not of the form"),
        ("height=[", "height"),
    ],
)
def test_what_cannot_be_set_is_named(change: str, field: str) -> None:
    with pytest.raises(InputError) as found:
        Profile(content()).method("both", [change])
    assert field in str(found.value) and "Value error" not in str(found.value)


@pytest.mark.parametrize("name", PROFILES)
def test_every_shipped_method_is_whole(name: str) -> None:
    for method in load_profile(name).methods.values():
        if method.aggregation is not None:
            method.aggregation.check(len(method.models), method.steps)


def test_the_papers_experiments() -> None:
    methods = load_profile("paper").methods
    shown = {
        name: (one.steps, one.aggregation.s, one.aggregation.weights, one.aggregation.eta)
        for name, one in methods.items()
        if (one.aggregation is not None and "ip-adapter" in name) or name == "interactdiffusion+migc"
    }
    assert shown["interactdiffusion+migc"] == (50, 3, (0.5,), (45, 55))
    assert shown["interactdiffusion+ip-adapter"] == (10, 3, (0.45,), (45, 55))
    assert shown["interactdiffusion+migc+ip-adapter"] == (10, 3, (0.47, 0.5), (45, 40, 35))
    own, ours = methods["migc@own"], methods["migc"]
    assert (own.noise_seed, ours.noise_seed) == (42, None)
    assert own.settings["migc"].scheduler == "euler" and ours.settings["migc"].scheduler == "ddim"
    assert own.describe()["settings"]["migc"]["and_augmentation"] and own.negative_prompt != ours.negative_prompt


def test_what_methods_are_compared_with_goes_to_those_that_have_it() -> None:
    mini = load_profile("mini")
    names = ("interactdiffusion", "interactdiffusion+migc", "migc")
    found = mini.several(names, ["aggregation.s=5", "settings.migc.guidance_scale=7", "negative_prompt=bad"])
    assert [one.aggregation and one.aggregation.s for one in found.values()] == [None, 5, None]
    assert [one.settings["migc"].guidance_scale for one in found.values() if "migc" in one.settings] == [7, 7]
    assert {one.negative_prompt for one in found.values()} == {"bad"}
    with pytest.raises(InputError, match=r"set aggregation\.s=5: concerns none of the methods migc, interactdiffusion"):
        mini.several(("migc", "interactdiffusion"), ["aggregation.s=5"])
    with pytest.raises(InputError, match="unknown method 'nope'"):
        mini.several(("nope",), ["aggregation.s=5"])
    with pytest.raises(InputError, match=r"aggregation\.w: "):
        mini.several(names, ["aggregation.w=5"])


def test_models_that_are_aggregated_take_the_same_steps() -> None:
    with pytest.raises(InputError, match=r"settings\.all\.num_inference_steps: models that are aggregated"):
        load_profile("mini").method("interactdiffusion+migc", ["settings.migc.num_inference_steps=7"])
    assert load_profile("mini").method("interactdiffusion+migc", ["settings.all.num_inference_steps=7"]).steps == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("settings.all.guidance_scale=true", "valid number"),
        ("settings.all.guidance_scale='3'", "valid number"),
        ("settings.all.guidance_scale=.inf", "finite number"),
        ("aggregation.s=true", "valid integer"),
        ("aggregation.s=1.0", "valid integer"),
        ("aggregation.s=1:30", "valid integer"),
        ("aggregation.s=0x10", "valid integer"),
        (f"aggregation.s=0x{'f' * 8000}", "valid integer"),
        (f"aggregation.s={'9' * 5000}", "valid integer|finite number"),
        ("aggregation.first_step=3000000000", "less than 2147483648"),
        ("aggregation.first_step=-5", "greater than or equal to 0"),
        ("aggregation.first_step=19", r"aggregation\.s: steps 19 to 21"),
        ("aggregation.eta=[true, false]", "valid number"),
        ("aggregation.weights=[.nan]", "finite number"),
        ("aggregation.weights=[2]", r"aggregation\.weights\[0\]: is 2"),
        ("aggregation.weights=[0.1, 0.2]", r"aggregation\.weights: 2 weights for 2 models"),
        ("noise_seed=true", "valid integer"),
        ("height=1:04", "valid integer"),
        ("negative_prompt=!!binary aGk=", "is a tag"),
        ('negative_prompt="\\uD800"', "half of a surrogate pair|is not a value"),
        ("negative_prompt=3", "valid string"),
        ("aggregation.eta=[&a 1, *a]", "is an alias"),
    ],
)
def test_a_value_is_of_its_fields_type_and_fits(change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_profile("mini").method("interactdiffusion+migc", [change])


def test_numbers_are_read_as_they_are_written() -> None:
    changes = ["settings.all.guidance_scale=7", "aggregation.eta=[0, 1e-3]", "noise_seed=null", "negative_prompt='3'"]
    found = load_profile("mini").method("interactdiffusion+migc", changes)
    assert found.settings["migc"].guidance_scale == 7.0 and found.aggregation is not None
    assert found.aggregation.eta == (0, 0.001) and found.noise_seed is None and found.negative_prompt == "3"


def test_a_negative_prompt_is_a_text_that_can_be_written() -> None:
    with pytest.raises(InputError, match="negative_prompt: holds half of a surrogate pair"):
        load_profile("mini").method("migc").changed({"negative_prompt": "\ud800"})


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        ("migc", "aggregation.s=5", "migc.aggregation: has one model, which aggregates nothing"),
        ("migc", "foo=3", "migc.foo: is not a field here; there are: models, settings, .*`amdm presets` prints"),
        (
            "migc",
            "agregation.s=3",
            r"migc.agregation: is not a field here; did you mean aggregation[?] there are: models, ",
        ),
        (
            "interactdiffusion+migc",
            "aggregation.etta=[1, 1]",
            r"etta: is not a field here; did you mean eta[?] there are: se",
        ),
        ("migc", "settings.migc.guidence_scale=3", r"did you mean guidance_scale[?] there are: num_inference_steps, "),
        (
            "migc",
            "settings.mgic.guidance_scale=3",
            r"is not a model of this method; did you mean migc[?] there are: migc",
        ),
        ("migc", "settings.migc.scheduler=eular", r"is 'eular'; did you mean euler[?] there are: ddim, euler"),
        ("interactdiffusion+migc", "aggregation.weights=0.4", r"weights: must be a list, for example \[0.5\]"),
    ],
)
def test_what_to_write_instead_is_said(method: str, change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_profile("mini").method(method, [change])


def test_a_model_whose_name_has_a_dot_can_be_changed() -> None:
    name = "interactdiffusion-v1.2"
    method = load_profile("paper").method(
        name, [f"settings.{name}.guidance_scale=5", f"settings.{name}.fuser_beta=0.5"]
    )
    assert method.settings[name].guidance_scale == 5 and method.describe()["settings"][name]["fuser_beta"] == 0.5


def test_settings_that_were_chosen_by_measurement_stand_in_a_file_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    declared = set(load_profile("mini").methods)
    shutil.copy(Path(str(files("amdm.presets"))) / "mini.yaml", tmp_path)
    chosen = "{models: [interactdiffusion, migc], aggregation: {semantics: paper, s: 5, weights: [0.3], eta: [0, 0]}}"
    (tmp_path / "mini-tuned.yaml").write_text(f"methods: {{a+b@tuned: {chosen}}}\n")
    monkeypatch.setattr("amdm.presets.profile.files", lambda package: tmp_path)
    found = load_profile("mini")
    assert set(found.methods) - declared == {"a+b@tuned"}
    settings = found.method("a+b@tuned")
    assert settings.steps == 20 and settings.aggregation is not None and settings.aggregation.s == 5
    assert load_profile("mini") is found  # while the files are the same
    (tmp_path / "mini-tuned.yaml").write_text(f"methods: {{b+a@tuned: {chosen}}}\n")
    assert set(load_profile("mini").methods) - declared == {"b+a@tuned"}


def test_what_a_method_ignores_is_described_where_there_is_any() -> None:
    profile = load_profile("mini")
    assert "ignores" not in profile.method("migc").describe()
    ignoring = profile.method("migc@combined")
    assert ignoring.describe()["ignores"] == ["interactions", "style"]
    assert MethodSettings.read(ignoring.describe()) == ignoring


def test_a_method_is_found_by_the_name_that_it_had_in_earlier_runs() -> None:
    profile = load_profile("mini")
    assert "switch@combined" not in profile.methods and profile.methods["mixed-then-target@combined"].aggregation
    found = profile.several(["switch@combined"], ["aggregation.s=2"])["switch@combined"]
    assert found.aggregation is not None and found.aggregation.s == 2
    assert profile.method("switch@combined") == profile.methods["mixed-then-target@combined"]


def test_what_is_set_of_all_models_holds_over_what_the_preset_says_of_one() -> None:
    assert load_profile("paper").method("migc@own").settings["migc"].scheduler == "euler"
    changed = load_profile("paper").method("migc@own", ["settings.all.scheduler=ddim"])
    assert changed.settings["migc"].scheduler == "ddim"
