"""A call's settings: overrides as a dictionary, guidance by model, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.callbacks import PipelineCallback, SDCFGCutoffCallback
from PIL import Image

from amdm.errors import InputError
from amdm.pipeline_inputs import (
    CALLBACK_INPUTS,
    NOT_TAKEN,
    call_settings,
    check_latents,
    check_output,
    override_texts,
    style_images,
)
from amdm.presets.profile import load_profile
from amdm.presets.settings import MethodSettings


@pytest.fixture(scope="module")
def preset() -> MethodSettings:
    return load_profile("mini").method("interactdiffusion+migc")


def test_overrides_by_name_are_those_in_texts(preset: MethodSettings) -> None:
    given = {"aggregation.s": np.int64(2), "aggregation.weights": (0.4,), "aggregation.eta": torch.tensor([0.5, 0.25])}
    texts = override_texts({**given, "aggregation.semantics": "paper"})
    assert texts == [
        "aggregation.s=2",
        "aggregation.weights=[0.4]",
        "aggregation.eta=[0.5, 0.25]",
        'aggregation.semantics="paper"',
    ]
    found = call_settings(preset, texts, None, None)
    assert found.aggregation is not None and preset.aggregation is not None
    assert (found.aggregation.s, found.aggregation.weights, found.aggregation.eta) == (2, (0.4,), (0.5, 0.25))
    assert found.aggregation.semantics == "paper" and preset.aggregation.s == 3
    assert override_texts(("aggregation.s=5",)) == ["aggregation.s=5"]
    for wrong, what in (
        ("aggregation.s=5", r"is one text; it must be a list"),
        ({"a": object()}, "holds something other than numbers"),
    ):
        with pytest.raises(InputError, match=f"overrides: {what}"):
            override_texts(wrong)
    with pytest.raises(InputError, match=r"aggregation\.q: is not a field here"):
        call_settings(preset, {"aggregation.q": 2}, None, None)


def test_guidance_by_model(preset: MethodSettings) -> None:
    found = call_settings(preset, (), {"migc": np.float32(1.5)}, 7, height=32).settings
    assert (found["migc"].guidance_scale, found["interactdiffusion"].guidance_scale) == (1.5, 6.0)
    assert {one.num_inference_steps for one in found.values()} == {7}
    assert {one.guidance_scale for one in call_settings(preset, (), 2, None).settings.values()} == {2.0}
    with pytest.raises(InputError, match=r"guidance_scale\.mgic: unknown model 'mgic'; did you mean migc\?"):
        call_settings(preset, (), {"mgic": 2}, None)


@pytest.mark.parametrize("name", list(NOT_TAKEN))
def test_arguments_of_other_pipelines_are_refused_with_what_to_give(name: str) -> None:
    check_output("pil", None, ("latents",), {name: None})
    with pytest.raises(InputError, match=f"^{name}: is not taken; ") as found:
        check_output("pil", None, ("latents",), {name: torch.zeros(1)})
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("pil", None, (), {"guidence_scale": 2}), "guidence_scale: unknown argument .* did you mean guidance_scale"),
        (("png", None, (), {}), "output_type: 'png' is none of pil"),
        (("pil", 3, (), {}), "callback_on_step_end: cannot be called"),
        (("pil", None, ("noise",), {}), r"tensor_inputs\.noise: there are only latents and geometry"),
    ],
)
def test_mistakes_are_one_line(given: tuple[Any, ...], what: str) -> None:
    assert check_output("latent", print, CALLBACK_INPUTS, {}) == CALLBACK_INPUTS
    with pytest.raises(InputError, match=what):
        check_output(*given)


@pytest.mark.parametrize(
    "value",
    [[np.float32(0.5), 2], (Fraction(1, 2), Decimal(2)), [torch.tensor(0.5), np.int64(2)], np.longdouble([0.5, 2])],
)
def test_numbers_of_any_kind_may_stand_in_lists(value: Any) -> None:
    (text,) = override_texts({"aggregation.eta": value})
    assert [float(one) for one in text.removeprefix("aggregation.eta=")[1:-1].split(",")] == [0.5, 2.0]


def test_a_callback_of_diffusers_says_itself_what_it_gets() -> None:
    class Geometry(PipelineCallback):
        tensor_inputs = ("geometry",)

        def callback_fn(self, *_: Any) -> dict[str, Any]:
            return {}

    assert check_output("pil", Geometry(), ("latents",), {}) == ("geometry",)
    with pytest.raises(InputError, match=r"tensor_inputs\.prompt_embeds: there are only latents and geometry"):
        check_output("pil", SDCFGCutoffCallback(), ("latents",), {})


@pytest.mark.parametrize("value", [{1, 2}, [object()], 1j, b"x", torch.empty(2, device="meta")])
def test_what_no_setting_can_be_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="overrides: holds something other than numbers, texts and lists"):
        override_texts({"aggregation.eta": value})


def test_what_is_set_of_all_models_is_of_each_and_before_what_is_set_of_one(preset: MethodSettings) -> None:
    changes = ["settings.migc.guidance_scale=5", "settings.all.guidance_scale=2", "settings.all.num_inference_steps=9"]
    in_call = call_settings(preset, changes, None, None)
    assert in_call == load_profile("mini").method("interactdiffusion+migc", changes)
    assert [one.guidance_scale for one in in_call.settings.values()] == [2.0, 5.0] and in_call.steps == 9


def test_noise_is_of_floats() -> None:
    check_latents(torch.zeros(1, 8, 16, 16, dtype=torch.float16), (1, 8, 16, 16))
    for dtype in (torch.int64, torch.complex64, torch.bool):
        with pytest.raises(InputError, match=f"latents: is of {dtype}; it must be floating point"):
            check_latents(torch.zeros(1, 8, 16, 16, dtype=dtype), (1, 8, 16, 16))


def test_one_picture_is_for_all_and_several_are_one_each() -> None:
    one = Image.new("RGB", (8, 8))
    array = np.zeros((8, 8, 3), np.uint8)
    assert style_images(None, 2) is None and style_images(one, 2) == [one, one]
    assert style_images(iter([one]), 1) == [one]
    for picture in (array, torch.zeros(3, 8, 8)):
        found = style_images(picture, 2)
        assert found is not None and all(each is picture for each in found)
    assert len(style_images(np.stack([array] * 3), 3) or ()) == 3
    two = [one, array]
    assert style_images(two, 4, 2) == [one, one, array, array] and style_images(two, 2) == two
    assert style_images(two * 2, 4, 2) == two * 2 and style_images(two, 6, 2) == two  # which is refused later
    for wrong in ("style.png", 3):
        with pytest.raises(InputError, match=r"style: is a (str|int); it must be a picture, or a list of them"):
            style_images(wrong, 1)
