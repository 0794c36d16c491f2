"""LoRA files of several key forms give the same merged weights; what fits no layer is named and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from amdm.errors import InputError
from amdm.hub import lora_file
from amdm.lora import METADATA, deltas, pairs, read_lora
from amdm.pipeline import AMDMPipeline

RANK = 2
QUERY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"
FUSER = "down_blocks.0.attentions.0.transformer_blocks.0.fuser.linear"
CONV = "down_blocks.0.resnets.0.conv1"
TEXT = "encoder.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def pipe() -> AMDMPipeline:
    return AMDMPipeline.from_pretrained("mini", "interactdiffusion+migc")


def made(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def parts(pipe: AMDMPipeline) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """down and up by layer, those of the text encoder with "text:" before."""
    own = {}
    for k, name in enumerate((QUERY, OUT, CONV)):
        weight = pipe.unet.get_parameter(f"{name}.weight")
        kernel = tuple(weight.shape[2:])
        down = made((RANK, weight.shape[1], *kernel), k)
        own[name] = down, made((weight.shape[0], RANK, *(1 for _ in kernel)), 10 + k)
    weight = pipe.text_encoder.get_parameter(f"{TEXT}.weight")
    own[f"text:{TEXT}"] = made((RANK, weight.shape[1]), 5), made((weight.shape[0], RANK), 6)
    return own


def written(pipe: AMDMPipeline, form: str) -> dict[str, torch.Tensor]:
    """The same LoRA, α = 1, as programs write it."""
    state = {}
    for name, (down, up) in parts(pipe).items():
        text, name = name.startswith("text:"), name.removeprefix("text:")
        if form == "kohya":
            stem = f"lora_te_text_model_{name}" if text else f"lora_unet_{name}"
            stem, first, second = stem.replace(".", "_"), "lora_down.weight", "lora_up.weight"
        else:
            stem = f"text_encoder.text_model.{name}" if text else f"unet.{name}"
            first, second = (
                ("lora_A.weight", "lora_B.weight") if form == "peft" else ("lora.down.weight", "lora.up.weight")
            )
            if form == "processors" and ".attn1." in stem:
                before, _, layer = stem.removesuffix(".0").rpartition(".")
                stem, first, second = f"{before}.processor.{layer}_lora", "down.weight", "up.weight"
        state |= {
            f"{stem}.{first}": down,
            f"{stem}.{second}": up,
            f"{stem.removesuffix('_lora')}.alpha": torch.tensor(1.0),
        }
    return state


def weights(pipe: AMDMPipeline) -> dict[str, torch.Tensor]:
    named = [
        (f"{part}/{key}", one) for part, own in pipe.models.modules().items() for key, one in own.state_dict().items()
    ]
    return {name: one.clone() for name, one in named}


@pytest.mark.parametrize("form", ["kohya", "peft", "lora.down", "processors"])
def test_every_form_is_merged_as_the_formula_says(pipe: AMDMPipeline, form: str) -> None:
    before = weights(pipe)
    pipe.load_lora_weights(written(pipe, form), scale=0.5)
    after = weights(pipe)
    expected = dict(before)
    for name, (down, up) in parts(pipe).items():
        delta = 0.5 * (1 / RANK) * torch.einsum("or,ri->oi", up.flatten(1), down.flatten(1))
        for part in pipe.models.modules():
            key = f"{part}/{name.removeprefix('text:')}.weight"
            if part.endswith("text_encoder" if name.startswith("text:") else "unet"):
                expected[key] = before[key] + delta.view_as(before[key])
    for key, value in expected.items():
        torch.testing.assert_close(after[key], value, atol=1e-5, rtol=0)
    assert (after[f"migc.unet/{QUERY}.weight"] - before[f"migc.unet/{QUERY}.weight"]).abs().max() > 0.1
    first, second = (
        pipe.models.models[name].unet.get_parameter(f"{QUERY}.weight") for name in ("interactdiffusion", "migc")
    )
    assert first is second  # what is shared got it once
    pipe.unload_lora_weights()
    again = weights(pipe)
    assert all(torch.equal(again[key], before[key]) for key in before)


def test_a_picture_changes_and_comes_back(pipe: AMDMPipeline, tmp_path: Path) -> None:
    save_file(written(pipe, "kohya"), tmp_path / "style.safetensors")
    pipe.set_progress_bar_config(disable=True)
    asked = {"generator": None, "num_inference_steps": 5, "output_type": "latent"}

    def drawn() -> torch.Tensor:
        from tests.amdm.test_pipeline import LAYOUTS

        return pipe(LAYOUTS[0], **asked | {"generator": torch.Generator().manual_seed(0)}).images

    before = drawn()
    pipe.load_lora_weights(tmp_path, scale=0.3)
    assert (drawn() - before).abs().max() > 0.01
    pipe.unload_lora_weights()
    assert torch.equal(drawn(), before)


def test_a_compiled_network_is_merged_into() -> None:
    pipe = AMDMPipeline.from_pretrained("mini", "migc")
    before, state = pipe.unet.get_parameter(f"{QUERY}.weight").clone(), written(pipe, "kohya")
    pipe.unet = torch.compile(pipe.unet)
    pipe.load_lora_weights(state)
    weight = pipe.models.models["migc"].unet.get_parameter(f"_orig_mod.{QUERY}.weight")
    assert (weight - before).abs().max() > 0.1
    pipe.unload_lora_weights()
    assert torch.equal(weight, before)


def test_alpha_of_the_header(tmp_path: Path) -> None:
    layer = nn.ModuleDict({"a": nn.Linear(3, 4, bias=False)})
    state = {"unet.a.lora_A.weight": made((RANK, 3), 0), "unet.a.lora_B.weight": made((4, RANK), 1)}
    save_file(state, tmp_path / "one.safetensors", {METADATA: json.dumps({"unet.r": RANK, "unet.lora_alpha": 6})})
    networks = {"unet": layer, "text_encoder": nn.Identity()}
    read, alphas = read_lora(tmp_path / "one.safetensors")
    (delta,) = deltas(pairs(read, networks, alphas), [networks]).values()
    torch.testing.assert_close(delta, 3 * state["unet.a.lora_B.weight"] @ state["unet.a.lora_A.weight"])
    save_file(state, tmp_path / "two.safetensors", {METADATA: json.dumps({"unet.use_dora": True})})
    with pytest.raises(InputError, match=r"two.*lora_adapter_metadata\.unet\.use_dora: is not merged here"):
        read_lora(tmp_path / "two.safetensors")


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ({f"unet.{QUERY}.lora_A.weight": torch.zeros(2, 64)}, f"unet.{QUERY}.weight: has no up"),
        ({"unet.nowhere.lora_A.weight": torch.zeros(2, 3)}, "unet.nowhere.lora_A.weight: is for a layer that is not"),
        ({f"unet.{QUERY}.dora_scale": torch.zeros(1)}, "dora_scale: is of no LoRA that is merged here"),
        ({"lora_unet_x.hada_w1_a": torch.zeros(1)}, "lora_unet_x.hada_w1_a: is of no LoRA"),
        ({f"unet.{OUT}.alpha": torch.ones(2)}, f"unet.{OUT}.weight.alpha: is .* must be a finite number"),
        ({f"unet.{OUT}.alpha": torch.tensor(float("nan"))}, f"unet.{OUT}.weight.alpha: is 'nan'"),
        ({f"lora_unet_{OUT}".replace(".", "_") + ".lora_up.weight": made((64, 2), 2)}, f"is a second up of unet.{OUT}"),
        (
            {f"unet.{QUERY}.lora_A.weight": torch.zeros(0, 64), f"unet.{QUERY}.lora_B.weight": torch.zeros(64, 0)},
            r"\(64, 0\) · \(0, 64\) does not fit",
        ),
        (
            {f"unet.{QUERY}.lora_A.weight": torch.zeros(64), f"unet.{QUERY}.lora_B.weight": torch.tensor(1.0)},
            r"\(\) · \(64,\) does not fit",
        ),
        (
            {f"unet.{FUSER}.lora_A.weight": torch.zeros(2, 96), f"unet.{FUSER}.lora_B.weight": torch.zeros(64, 2)},
            f"unet.{FUSER}.weight: is of some of the models, and not of all",
        ),
        (
            {f"unet.{QUERY}.lora_A.weight": torch.zeros(2, 7), f"unet.{QUERY}.lora_B.weight": torch.zeros(64, 2)},
            r"\(64, 2\) · \(2, 7\) does not fit a weight of the shape \(64, 64\)",
        ),
    ],
)
def test_what_fits_no_layer_is_named(pipe: AMDMPipeline, state: dict[str, torch.Tensor], what: str) -> None:
    before = weights(pipe)
    good = {f"unet.{OUT}.lora_A.weight": made((2, 64), 0), f"unet.{OUT}.lora_B.weight": made((64, 2), 1)}
    with pytest.raises(InputError, match=what):
        pipe.load_lora_weights({**good, **state})
    after = weights(pipe)
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_which_file_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="weight_name: is needed: of weight files there are: none"):
        lora_file(tmp_path, None, None)
    for name in ("a", "b"):
        save_file({"x": torch.zeros(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"there are: a\.safetensors, b\.safetensors"):
        lora_file(tmp_path, None, None)
    assert lora_file(tmp_path, "b.safetensors", None) == tmp_path / "b.safetensors"
    (tmp_path / "old.bin").touch()
    with pytest.raises(InputError, match=r"is no \.safetensors file"):
        read_lora(tmp_path / "old.bin")
    with pytest.raises(InputError, match="is absent"):
        read_lora(lora_file(tmp_path, "c.safetensors", None))


@pytest.mark.parametrize("argument", ["weight_name", "revision"])
def test_what_says_nothing_of_the_weights_is_refused(pipe: AMDMPipeline, tmp_path: Path, argument: str) -> None:
    save_file(written(pipe, "kohya"), tmp_path / "a.safetensors")
    before = weights(pipe)
    given: dict[str, Any] = {argument: "a.safetensors"}
    with pytest.raises(InputError, match=f"^{argument}: is of files, and these are tensors"):
        pipe.load_lora_weights(written(pipe, "kohya"), **given)
    with pytest.raises(InputError, match=rf"a\.safetensors: {argument}: is of a "):
        pipe.load_lora_weights(tmp_path / "a.safetensors", **given)
    if argument == "revision":
        with pytest.raises(InputError, match="revision: is of a repository on the Hub"):
            pipe.load_lora_weights(tmp_path, **given)
    after = weights(pipe)
    assert all(torch.equal(after[key], before[key]) for key in before)
