"""The pipeline: the same pictures as the method behind it, generators a sample, callbacks, saving and loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from amdm.pipeline import AMDMPipeline
from amdm.pipeline_inputs import sample_layouts
from amdm.presets.profile import load_profile
from tests.altered import flip_last_bit
from tests.closeness import rounding_bound

CROSS, RING = Instance("a red cross", (0.1, 0.1, 0.5, 0.5)), Instance("a blue ring", (0.5, 0.5, 0.9, 0.9))
LAYOUTS = [Layout("a photo of a red cross and a blue ring ", (CROSS, RING)), Layout("a photo of a blue ring ", (RING,))]


@pytest.fixture(scope="module")
def pipe() -> AMDMPipeline:
    made = AMDMPipeline.from_pretrained("mini", overrides=["settings.all.num_inference_steps=5"])
    made.set_progress_bar_config(disable=True)
    return made


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def bound_of(pipe: AMDMPipeline, kind: str) -> float:
    """What roundings may come to in a picture (or its latents) of the second layout."""

    def made(latents: torch.Tensor) -> Any:
        return pipe(layouts=LAYOUTS[1], latents=latents, generator=generators(2), output_type=kind).images

    return rounding_bound(made, torch.randn(1, 8, 16, 16, generator=generators(5)[0]))


@pytest.mark.numeric
def test_a_sample_depends_on_its_generator_alone(pipe: AMDMPipeline) -> None:
    both = pipe(layouts=LAYOUTS, generator=generators(1, 2), output_type="latent").images
    alone = pipe(layouts=LAYOUTS[1], generator=generators(2), output_type="latent").images
    torch.testing.assert_close(alone[0], both[1], atol=bound_of(pipe, "latent"), rtol=0)
    other = pipe(layouts=LAYOUTS[1], generator=generators(3), output_type="latent").images
    assert (other - alone).abs().max() > 0.1


def test_output_types(pipe: AMDMPipeline) -> None:
    def made(kind: str) -> Any:
        return pipe(layouts=LAYOUTS[0], generator=generators(1), output_type=kind).images

    picture = np.asarray(made("pil")[0])
    assert picture.shape == (64, 64, 3)
    assert np.abs(made("np")[0] * 255 - picture).max() <= 0.51
    assert torch.equal(made("pt")[0].permute(1, 2, 0), torch.from_numpy(made("np")[0]))
    assert made("latent").shape == (1, 8, 16, 16)
    images, finite = pipe(layouts=LAYOUTS[0], generator=generators(1), return_dict=False)
    assert np.array_equal(np.asarray(images[0]), picture) and finite == [True]


def test_usual_arguments(pipe: AMDMPipeline) -> None:
    steps = []

    def seen(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(i)
        owner._interrupt = i == 6
        return {"latents": tensors["latents"] * 0} if i == 6 else {}

    latents = torch.randn(1, 8, 16, 16, generator=generators(5)[0])
    out = pipe(
        "a caption",
        LAYOUTS[0],
        num_inference_steps=8,
        guidance_scale=2.0,
        negative_prompt="a red cross",
        latents=latents,
        callback_on_step_end=seen,
        output_type="latent",
    ).images
    assert steps == list(range(7)) and not out.any()
    plain, again = (
        pipe(layouts=LAYOUTS[0], latents=latents, generator=generators(k), output_type="np") for k in (0, 0)
    )
    assert np.array_equal(plain.images, again.images)
    colder = pipe(layouts=LAYOUTS[0], latents=latents, generator=generators(0), guidance_scale=1, output_type="np")
    assert np.abs(colder.images - plain.images).max() > 0.05


def test_what_a_callback_is_told_of_the_geometry(pipe: AMDMPipeline) -> None:
    seen: list[dict[str, Any]] = []

    def told(owner: AMDMPipeline, i: int, t: float, given: dict[str, Any]) -> dict[str, Any]:
        assert list(given) == ["geometry"]
        seen.append(given["geometry"])
        return {}

    asked = {"callback_on_step_end": told, "callback_on_step_end_tensor_inputs": ["geometry"]}
    pipe(layouts=LAYOUTS, output_type="latent", overrides={"aggregation.s": 2}, **asked)
    assert [sorted(one) for one in seen] == [[], ["interactdiffusion", "migc"], ["interactdiffusion", "migc"], [], []]
    assert all(len(one["distance_to_mean"]) == 2 for one in seen[1].values())


def test_a_broken_picture_is_not_finite(pipe: AMDMPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = type(pipe.models).decode

    def broken(self: Any, latents: torch.Tensor, model: str) -> torch.Tensor:
        pictures = decode(self, latents, model)
        pictures[1, 0, 3, 3] = float("nan")
        return pictures

    monkeypatch.setattr(type(pipe.models), "decode", broken)
    out = pipe(layouts=LAYOUTS, generator=generators(1, 2), output_type="pt")
    assert out.finite == [True, False]


def test_a_pipeline_for_one_call_gives_its_memory_back(pipe: AMDMPipeline, tmp_path: Path) -> None:
    made = AMDMPipeline.from_pretrained("mini", overrides={"settings.all.num_inference_steps": 5})
    made.set_progress_bar_config(disable=True)
    made.enable_single_use()
    ours, theirs = (one(layouts=LAYOUTS[:1], generator=generators(1), output_type="np").images for one in (made, pipe))
    assert np.array_equal(ours, theirs)
    assert made.unet.device.type == made.text_encoder.device.type == "meta"
    with pytest.raises(InputError, match="enable_single_use: the one call was made; load the pipeline again"):
        made(layouts=LAYOUTS[:1])
    (tmp_path / "model_index.json").write_text("{}")
    for refused in (lambda: made.save_pretrained(tmp_path), lambda: made.to("cpu"), lambda: made.load_lora_weights({})):
        with pytest.raises(InputError, match="the one call was made; load the pipeline again"):
            refused()
    assert (tmp_path / "model_index.json").exists()
    with pytest.raises(InputError, match="enable_model_cpu_offload: cannot be with enable_single_use"):
        made.enable_model_cpu_offload(device="cpu")
    pipe.enable_model_cpu_offload(device="cpu")
    with pytest.raises(InputError, match="enable_single_use: cannot be with model offload"):
        pipe.enable_single_use()
    pipe._offload_to = None
    torn = AMDMPipeline.from_pretrained("mini", "migc")
    torn.set_progress_bar_config(disable=True)
    torn.enable_single_use()
    with pytest.raises(ZeroDivisionError):
        torn(LAYOUTS[0], callback_on_step_end=lambda *_: 1 // 0)
    with pytest.raises(InputError, match="the one call was made"):  # what encodes is gone
        torn(LAYOUTS[0])


def test_noise_that_is_given_is_that_of_the_model_that_begins(pipe: AMDMPipeline) -> None:
    switched, seen = AMDMPipeline.from_pretrained("mini", "switch"), list[torch.Tensor]()
    switched.set_progress_bar_config(disable=True)
    latents = torch.randn(1, 8, 16, 16, generator=generators(5)[0])
    asked: dict[str, Any] = {"num_inference_steps": 5, "output_type": "latent", "guidance_scale": 2}
    alone = AMDMPipeline(switched.models, load_profile("mini").method("migc"), "mini", "migc")
    for one in (switched, alone):
        one(
            LAYOUTS[0],
            latents=latents,
            callback_on_step_end=lambda pipe, i, t, given: seen.append(given["latents"]) or {"latents": latents},
            generator=generators(1),
            **asked,
        )
    # Both are MIGC's first step from that noise, along v and along the same as ε; from another noise it is O(1) away.
    assert (seen[0] - seen[5]).abs().max() < 1e-3


def test_each_models_own_pictures(pipe: AMDMPipeline) -> None:
    out = pipe(layouts=LAYOUTS, generator=generators(1, 2), all_models=True, output_type="np")
    assert out.images_by_model is not None and set(out.images_by_model) == {"interactdiffusion", "migc"}
    assert np.array_equal(out.images_by_model["interactdiffusion"], out.images)
    assert np.abs(out.images_by_model["migc"] - out.images).max() > 0.1
    plain = pipe(layouts=LAYOUTS, generator=generators(1, 2), output_type="np")
    assert np.array_equal(plain.images, out.images) and plain.images_by_model is None


@pytest.mark.numeric
def test_several_pictures_of_a_layout(pipe: AMDMPipeline) -> None:
    out = pipe(layouts=LAYOUTS, num_images_per_prompt=2, generator=generators(1, 2, 3, 4), output_type="pt").images
    single = pipe(layouts=LAYOUTS[1], generator=generators(4), output_type="pt").images
    torch.testing.assert_close(out[3], single[0], atol=bound_of(pipe, "pt"), rtol=0)


def test_offload_holds_only_what_a_phase_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    made = AMDMPipeline.from_pretrained("mini", "migc", overrides=["settings.all.num_inference_steps=2"])
    made.set_progress_bar_config(disable=True)
    plain = made(layouts=LAYOUTS, generator=generators(1, 2), output_type="pt").images
    phases: list[set[str]] = []
    names = {id(module): name for name, module in made.models.modules().items()}
    real = torch.nn.Module.to

    def to(module: torch.nn.Module, place: Any, **more: Any) -> Any:
        if id(module) in names:
            (phases[-1].add if str(place) == "cpu:0" else phases[-1].discard)(names[id(module)])
        return real(module, "cpu")

    hold = made._hold
    monkeypatch.setattr(
        made, "_hold", lambda *kinds: (phases.append(set(phases[-1:][0] if phases else ())), hold(*kinds))
    )
    monkeypatch.setattr(torch.nn.Module, "to", to)
    made.enable_model_cpu_offload(device="cpu:0")
    assert torch.equal(made(layouts=LAYOUTS, generator=generators(1, 2), output_type="pt").images, plain)
    assert phases == [set(), {"migc.unet", "migc.text_encoder"}, {"migc.unet"}, {"vae"}, set()]


@pytest.mark.numeric
def test_a_saved_pipeline_loads_again(pipe: AMDMPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    parameters = {id(p): p.numel() * 4 for module in pipe.models.modules().values() for p in module.parameters()}
    assert size < sum(parameters.values()) * 1.02  # what models share is stored once
    loaded = AMDMPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    ours, theirs = (one.models.modules() for one in (pipe, loaded))
    assert ours.keys() == theirs.keys()
    for name, module in ours.items():
        saved, read = module.state_dict(), theirs[name].state_dict()
        assert saved.keys() == read.keys() and all(torch.equal(saved[key], read[key]) for key in saved)
    ours, theirs = (one(layouts=LAYOUTS, generator=generators(1, 2), output_type="pt").images for one in (pipe, loaded))
    torch.testing.assert_close(ours, theirs, atol=bound_of(pipe, "pt"), rtol=0)
    assert len({id(p) for m in loaded.models.modules().values() for p in m.parameters()}) == len(parameters)
    path = next(tmp_path.rglob("*.safetensors"))
    flip_last_bit(path)
    with pytest.raises(InputError, match="not the file that was saved"):
        AMDMPipeline.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="neither mini, paper nor a folder"):
        AMDMPipeline.from_pretrained(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "prompt"),
        ({"layouts": []}, "layouts"),
        ({"layouts": LAYOUTS, "prompt": ["a", "b", "c"]}, "prompt"),
        ({"layouts": LAYOUTS[0], "output_type": "jpg"}, "output_type"),
        ({"layouts": LAYOUTS[0], "ip_adapter_image": Image.new("RGB", (8, 8))}, "style"),
        ({"layouts": LAYOUTS, "generator": [torch.Generator()]}, "generator"),
        ({"layouts": LAYOUTS[0], "num_inference_steps": 3}, "s"),
        ({"layouts": LAYOUTS[0], "num_inference_steps": 0}, "num_inference_steps"),
        ({"layouts": LAYOUTS[0], "height": 63}, "height"),
        ({"layouts": LAYOUTS, "interactions": [[Interaction(CROSS, "and", RING)]]}, "interactions"),
        ({"layouts": LAYOUTS[0], "latents": torch.zeros(1, 4, 8, 8)}, "latents"),
    ],
)
def test_bad_arguments_are_refused_before_any_model_runs(
    pipe: AMDMPipeline, arguments: dict[str, Any], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in pipe.models.models.values():
        monkeypatch.setattr(model.unet, "forward", None)
    with pytest.raises(InputError) as found:
        pipe(**arguments)
    assert field in str(found.value).partition(": ")[0] or f"{field}: " in str(found.value)


def test_unknown_names_and_fields() -> None:
    with pytest.raises(InputError, match="unknown method 'nope'"):
        AMDMPipeline.from_pretrained("mini", "nope")
    with pytest.raises(InputError, match=r"aggregation\.t"):
        AMDMPipeline.from_pretrained("mini", overrides=["aggregation.t=3"])


def test_mistakes_of_a_call_are_named(pipe: AMDMPipeline) -> None:
    for arguments, what in (
        ({"layouts": {"caption": "c"}}, "layouts: holds a str; it takes Layouts"),
        ({"layouts": LAYOUTS, "generator": 0}, "generator: takes a torch.Generator, or one a sample"),
        (
            {"layouts": LAYOUTS, "latents": torch.zeros(1, 4, 8, 8)},
            r"latents: has the shape \(1, 4, 8, 8\); it must be",
        ),
    ):
        with pytest.raises(InputError, match=what):
            pipe(**arguments)
    with pytest.raises(InputError, match=r"instances\[0\]: is a dict; it must be an Instance"):
        Layout("c", ({"phrase": "a red circle", "box": (0, 0, 1, 1)},))  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_networks_are_held_in_floating_types(pipe: AMDMPipeline) -> None:
    assert pipe.to("cpu", torch.float32, silence_dtype_warnings=True) is pipe
    for wrong in (torch.int8, torch.complex64):
        with pytest.raises(InputError, match=f"dtype: is '{wrong}'; it must be a floating type of torch"):
            pipe.to(wrong)
    with pytest.raises(InputError, match="dtype: is 'float16'; it must be a floating type"):
        AMDMPipeline.from_pretrained("paper", torch_dtype="float16")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"dtype: is torch\.float32, and torch_dtype torch\.float16: give one"):
        AMDMPipeline.from_pretrained("mini", dtype=torch.float32, torch_dtype=torch.float16)


def test_a_device_that_is_not_there_is_an_error_and_nothing_moves(pipe: AMDMPipeline) -> None:
    for ask in (lambda: pipe.to("cuda"), pipe.enable_model_cpu_offload, lambda: pipe.to(device="cuda:1")):
        with pytest.raises(InputError, match="there is no CUDA device"):
            ask()
    assert pipe.device == torch.device("cpu") and pipe._offload_to is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"latents": [1]}, "latents: is a list, and no tensor"),
        ({"layouts": 3}, "layouts: is a int, and no list"),
        ({"prompt": 3}, "prompt: is a int, and no list"),
        ({"interactions": 3}, "interactions: is a int, and no list"),
        ({"num_images_per_prompt": "x"}, "num_images_per_prompt: is 'x'"),
        ({"num_images_per_prompt": True}, "num_images_per_prompt: is True"),
        ({"callback_on_step_end": 3}, "callback_on_step_end: cannot be called"),
        ({"callback_on_step_end": lambda *_: 5}, "callback_on_step_end: returned a int, and no dictionary"),
        (
            {"callback_on_step_end": lambda *_: {"latents": torch.zeros(1)}},
            r"callback_on_step_end: returned no tensor of the shape \(1, 8, 16, 16\)",
        ),
    ],
)
def test_arguments_of_another_kind_are_one_line(given: dict[str, Any], message: str) -> None:
    pipeline = AMDMPipeline.from_pretrained("mini", "migc")
    layout = Layout("a photo of a red circle ", (Instance("a red circle", (0.1, 0.1, 0.5, 0.5)),))
    with pytest.raises(InputError, match=message):
        pipeline(**{"layouts": layout, "num_inference_steps": 2, **given})


def test_what_is_not_a_list_of_the_right_things_is_one_line() -> None:
    with pytest.raises(InputError, match=r"overrides: is one text; it must be a list of them: \['aggregation.s=5'\]"):
        AMDMPipeline.from_pretrained("mini", overrides="aggregation.s=5")
    with pytest.raises(InputError, match="interactions: holds a int; it takes Interactions"):
        sample_layouts("a", None, [1])  # type: ignore[list-item]
