"""The paper profile from a folder of public files, small: every model, one base in memory, misfits named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from amdm.checkpoints.assemble import files_of_models
from amdm.checkpoints.catalogue import CATALOGUE, file_named
from amdm.checkpoints.convert import CONVERSIONS, convert_all, converted_place
from amdm.checkpoints.keys.unet import ldm_name
from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.layout import Instance, Layout
from amdm.loading import load_models
from amdm.model_set import LoadOptions, ModelSet
from amdm.models import full_size, ip_adapter
from amdm.models.control import SampleRequest
from amdm.pipeline import AMDMPipeline
from amdm.profiles import weight_digests
from tests.closeness import assert_same, to_double

NAMES = ("interactdiffusion", "migc", "ip-adapter", "stable_diffusion", "gligen", "interactdiffusion-v1.2")
LAYOUT = Layout("a caption", (Instance("a red bowl", (0.1, 0.1, 0.5, 0.6)),))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code at a size that fits a test."""
    unet = {"block_out_channels": (32, 32, 64, 64), "cross_attention_dim": 32, "attention_head_dim": 4}
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    monkeypatch.setattr(full_size, "UNET", {**full_size.UNET, **unet})
    monkeypatch.setattr(full_size, "TEXT", {**full_size.TEXT, **tower})
    monkeypatch.setattr(full_size, "VAE", {**full_size.VAE, "block_out_channels": (32,) * 4})
    monkeypatch.setattr(ip_adapter, "IMAGE", {**ip_adapter.IMAGE, **tower, "patch_size": 112, "projection_dim": 24})
    full_size.base_names.cache_clear()
    yield
    full_size.base_names.cache_clear()


@pytest.fixture
def random(small: None) -> ModelSet:
    return load_models("paper", NAMES, LoadOptions(random_weights=True))


@pytest.fixture
def folder(random: ModelSet, tmp_path: Path) -> Path:
    """Public files that hold the random models, under the public names."""
    models = random.models
    base = {n: p for n, p in models["stable_diffusion"].unet.state_dict().items()}
    ip = models["ip-adapter"]
    own_base = {n: ip.unet.state_dict()[n] for n in base}
    text = models["migc"].text.text_encoder.state_dict()
    vae = {_old(name): value for name, value in random.vaes[""].state_dict().items()}
    migc = {_migc_key(name): value for name, value in models["migc"].control_state_dict().items()}  # type: ignore[attr-defined]
    gated = models["interactdiffusion"].unet.state_dict()
    interact = {ldm_name(name, full_size.UNET): value for name, value in gated.items()}
    put: dict[str, Callable[[Path], None]] = {
        "sd14-unet": _tensors(base),
        "sd14-text-encoder": _tensors(
            {f"text_model.{n}": v for n, v in text.items()} | {"text_model.embeddings.position_ids": torch.arange(77)}
        ),
        "sd14-vae": _tensors(vae),
        "interactdiffusion": lambda path: torch.save({"model": interact}, path),
        "migc": lambda path: torch.save({"state_dict": migc}, path),
        "gligen-unet": _tensors(models["gligen"].unet.state_dict()),
        "sd15-unet": _tensors(own_base),
        "ip-adapter": _tensors(ip.control_state_dict()),  # type: ignore[attr-defined]
        "ip-adapter-image-encoder": _tensors(ip.modules()["image_encoder"].state_dict()),
        "vae-ft-mse": _tensors(vae),
        "interactdiffusion-v1.2": _tensors(models["interactdiffusion-v1.2"].unet.state_dict()),
    }
    for name, write in put.items():
        path = tmp_path / file_named(name).place
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    convert_all(tmp_path, lambda line: None)
    return tmp_path


def _tensors(state: dict[str, torch.Tensor]) -> Callable[[Path], None]:
    return lambda path: save_file({name: value.clone().contiguous() for name, value in state.items()}, path)


def _old(name: str) -> str:
    """The names of the VAE's attention in older files."""
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
    return name


def _migc_key(name: str) -> str:
    place, _, parameter = name.partition(".transformer_blocks.0.attn2.processor.")
    parts = place.split(".")
    if parts[0] == "mid_block":
        return f"model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.{parameter}"
    block = 3 * int(parts[1]) + int(parts[3])
    return f"model.diffusion_model.output_blocks.{block}.1.transformer_blocks.0.attn2.{parameter}"


def predictions(models: ModelSet) -> dict[str, torch.Tensor]:
    style = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    request = SampleRequest((LAYOUT,), ("k",), 10, 3.0, "bad", 128, 128, (style,))
    with torch.no_grad():
        return {name: model.bind(request)(x, 500, 0) for name, model in models.models.items()}


@pytest.mark.numeric
def test_what_is_loaded_says_what_was_saved_with_one_base_in_memory(random: ModelSet, folder: Path) -> None:
    loaded = load_models("paper", NAMES, LoadOptions(folder))
    exact, expected = to_double(loaded), to_double(random)
    ours, theirs = predictions(exact), predictions(expected)
    for name in NAMES:
        published = random.models[name].unet.state_dict()
        assert all(torch.equal(v, published[n]) for n, v in loaded.models[name].unet.state_dict().items())
        assert_same(ours[name], theirs[name])
    latents = torch.randn(1, 4, 8, 8)
    assert_same(exact.decode(latents, "migc"), expected.decode(latents, "migc"))

    base = {id(p) for p in loaded.models["stable_diffusion"].unet.parameters()}
    for name in ("interactdiffusion", "migc", "gligen"):
        assert base <= {id(p) for p in loaded.models[name].unet.parameters()}
    for name in ("ip-adapter", "interactdiffusion-v1.2"):  # on SD 1.5
        assert not base & {id(p) for p in loaded.models[name].unet.parameters()}
    one = sum(p.numel() * 4 for p in loaded.models["stable_diffusion"].unet.parameters())
    assert loaded.saved_bytes == 3 * one


@pytest.mark.parametrize("name", NAMES)
def test_each_model_needs_the_files_that_are_named_and_no_others(folder: Path, name: str) -> None:
    needed = files_of_models([name])
    for one in CATALOGUE:
        path = folder / one.place
        if one.name not in needed and path.exists():
            path.unlink()
    load_models("paper", (name,), LoadOptions(folder))
    for one in needed - set(CONVERSIONS):  # these are read from their conversions
        path = folder / file_named(one).place
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(InputError, match="is absent"):
            load_models("paper", (name,), LoadOptions(folder))
        path.write_bytes(content)


def test_v12_draws_alone_and_aggregated_and_its_digests_are_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["settings.all.num_inference_steps=3", "height=64", "width=64"]
    for method in ("interactdiffusion-v1.2", "interactdiffusion-v1.2+migc"):
        aggregated = [*changes, *(["aggregation.s=1"] if "+" in method else [])]
        pipe = AMDMPipeline.from_pretrained("paper", method, overrides=aggregated, weights_dir=folder)
        pipe.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(0)
        images = pipe(layouts=LAYOUT, generator=generator, output_type="latent").images
        assert images.shape == (1, 4, 8, 8) and torch.isfinite(images).all()
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(folder))
    digests = weight_digests("paper")
    name = "interactdiffusion-v1.2"
    assert digests[converted_place(name)] == sha256(folder / converted_place(name))
    assert str(file_named(name).place) in digests


def test_v12_in_half_precision_from_the_published_half(folder: Path) -> None:
    name, half = "interactdiffusion-v1.2", "interactdiffusion-v1.2-fp16"
    path = folder / file_named(name).place
    published = {key: value.half() for key, value in load_file(path).items()}
    save_file(published, folder / file_named(half).place)
    convert_all(folder, lambda line: None)
    path.unlink()
    (folder / converted_place(name)).unlink()
    loaded = load_models("paper", (name,), LoadOptions(folder, dtype=torch.float16)).models[name].unet.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in published.items())
    with pytest.raises(InputError, match=r"convert`, after `amdm weights fetch --profile interactdiffusion-v1\.2`"):
        load_models("paper", (name,), LoadOptions(folder))


def test_a_full_size_batch_is_decoded_one_at_a_time(random: ModelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    vae, sizes = random.vaes[""], []
    with torch.no_grad():
        vae.disable_slicing()
        together = random.decode(latents, "migc")
        vae.enable_slicing()
        inner = vae.decoder.forward
        monkeypatch.setattr(vae.decoder, "forward", lambda x, *a: sizes.append(len(x)) or inner(x, *a))
        torch.testing.assert_close(random.decode(latents, "migc"), together, atol=1e-5, rtol=1e-5)
    assert sizes == [1, 1, 1] and full_size.build_vae().use_slicing


def test_a_base_that_differs_in_one_tensor_is_shared_but_for_it(folder: Path) -> None:
    path = folder / file_named("gligen-unet").place
    state = load_file(path)
    state["conv_in.weight"] = state["conv_in.weight"] + 1
    save_file(state, path)
    loaded = load_models("paper", ("stable_diffusion", "gligen"), LoadOptions(folder))
    own, base = loaded.models["gligen"].unet, loaded.models["stable_diffusion"].unet
    assert own.conv_in.weight is not base.conv_in.weight and own.conv_out.weight is base.conv_out.weight


def test_half_precision(folder: Path) -> None:
    loaded = load_models("paper", ("migc",), LoadOptions(folder, dtype=torch.bfloat16))
    assert {p.dtype for m in loaded.modules().values() for p in m.parameters()} == {torch.bfloat16}
    assert predictions(loaded)["migc"].dtype == torch.float32


@pytest.mark.numeric
def test_a_saved_pipeline_of_full_size_classes_loads_again(folder: Path, tmp_path: Path) -> None:
    changes = ["settings.all.num_inference_steps=3", "height=64", "width=64", "aggregation.s=1"]
    made = AMDMPipeline.from_pretrained("paper", "interactdiffusion+migc", overrides=changes, weights_dir=folder)
    made.set_progress_bar_config(disable=True)
    made.save_pretrained(tmp_path / "saved")
    again = AMDMPipeline.from_pretrained(tmp_path / "saved")
    again.set_progress_bar_config(disable=True)
    ours, theirs = (
        one.to(torch.float64)(layouts=LAYOUT, generator=torch.Generator().manual_seed(0), output_type="latent").images
        for one in (made, again)
    )
    assert_same(ours, theirs)


def test_a_saved_model_keeps_its_own_autoencoder(folder: Path, tmp_path: Path) -> None:
    path = folder / file_named("vae-ft-mse").place
    save_file({name: value + 1 for name, value in load_file(path).items()}, path)
    made = AMDMPipeline.from_pretrained("paper", "interactdiffusion+ip-adapter", weights_dir=folder)
    made.save_pretrained(tmp_path / "saved")
    ours, theirs = (one.models.vaes for one in (made, AMDMPipeline.from_pretrained(tmp_path / "saved")))
    for name in ("", "ip-adapter"):
        first, second = ours[name].state_dict(), theirs[name].state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(theirs[""].decoder.conv_in.bias, theirs["ip-adapter"].decoder.conv_in.bias)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("sd14-unet", lambda state: state.pop("conv_in.bias"), "missing: conv_in.bias"),
        ("sd14-unet", lambda state: state.update(extra=torch.zeros(1)), "left over: extra"),
        ("sd14-vae", lambda state: state.pop("decoder.conv_in.bias"), "missing: decoder.conv_in.bias"),
        ("sd14-text-encoder", lambda state: state.pop("text_model.final_layer_norm.bias"), "final_layer_norm.bias"),
        (
            "sd14-text-encoder",
            lambda state: state.update({"text_model.final_layer_norm.bias": torch.zeros(3)}),
            "final_layer_norm.bias",
        ),
        ("ip-adapter", lambda state: state.pop("image_proj.norm.bias"), "image_proj.norm.bias"),
        ("ip-adapter", lambda state: state.update({"image_proj.norm.bias": torch.zeros(3)}), "image_proj.norm.bias"),
    ],
)
def test_a_misfit_is_named(folder: Path, name: str, change: Any, expected: str) -> None:
    path = folder / file_named(name).place
    state = load_file(path)
    change(state)
    save_file(state, path)
    with pytest.raises(InputError) as found:
        load_models("paper", ("stable_diffusion", "ip-adapter"), LoadOptions(folder))
    assert str(path) in str(found.value) and expected in str(found.value)


def test_absent_torn_and_unconverted_files_are_one_line(folder: Path) -> None:
    converted = folder / "converted" / "migc" / "migc.safetensors"
    content = converted.read_bytes()
    converted.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="amdm weights convert"):
        load_models("paper", ("migc",), LoadOptions(folder))
    converted.unlink()
    with pytest.raises(InputError, match="is absent: run `amdm weights convert`"):
        load_models("paper", ("migc",), LoadOptions(folder))
    path = folder / file_named("sd14-unet").place
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=str(path)):
        load_models("paper", ("stable_diffusion",), LoadOptions(folder))
