"""The paper's architectures from configuration alone: published sizes, sharing, tokenizer, random fill."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch

from amdm.checkpoints.catalogue import file_named
from amdm.errors import InputError
from amdm.loading import load_models
from amdm.model_set import LoadOptions
from amdm.models import full_size
from amdm.models.full_size import build_models, build_tokenizer, build_vae, fill_randomly
from amdm.models.interactdiffusion import InteractDiffusion
from amdm.models.migc import MIGC
from amdm.models.registry import MODELS


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_sizes_are_those_of_the_published_models() -> None:
    models = build_models(list(MODELS))
    assert all(parameter.is_meta for model in models.values() for parameter in model.unet.parameters())
    base = parameters(models["stable_diffusion"].unet)
    assert base == 859_520_964  # SD 1.x
    assert parameters(models["ip-adapter"].unet) - base == 22_319_616  # ip-adapter_sd15: 44.6 MB in fp16
    assert parameters(models["stable_diffusion"].text.text_encoder) == 123_060_480  # CLIP ViT-L/14
    assert parameters(models["ip-adapter"].modules()["image_encoder"]) == 632_076_800  # CLIP ViT-H/14
    assert parameters(build_vae()) == 83_653_863
    tensors = {name: 4 * parameters(model.unet) for name, model in models.items()}
    assert (
        file_named("interactdiffusion").converted == tensors["interactdiffusion"] == tensors["interactdiffusion-v1.2"]
    )
    assert file_named("gligen-unet").about == tensors["gligen"]
    assert file_named("migc").about == 4 * sum(value.numel() for value in models["migc"].control_state_dict().values())
    for name, network in (("sd14-vae", build_vae()), ("sd14-text-encoder", models["migc"].text.text_encoder)):
        assert file_named(name).about == 4 * parameters(network)


def test_one_base_and_what_each_adds_is_its_own() -> None:
    models = build_models(list(MODELS))
    base = {id(p) for p in models["stable_diffusion"].unet.parameters()}
    for name in ("interactdiffusion", "gligen", "migc"):
        assert base <= {id(p) for p in models[name].unet.parameters()}, name
    for name in ("ip-adapter", "interactdiffusion-v1.2"):  # on SD 1.5
        assert not base & {id(p) for p in models[name].unet.parameters()}
    ours, theirs = ({id(p) for p in models[name].unet.parameters()} - base for name in ("interactdiffusion", "gligen"))
    assert not ours & theirs
    assert len({id(model.text.text_encoder) for model in models.values()}) == 1


def test_the_tokenizer_is_clips_padded_as_sd_pads() -> None:
    ours, theirs = build_tokenizer(), open_clip.get_tokenizer("ViT-L-14")
    for text in ("a red bowl", "two dogs' café, <b>naïve</b> 123", "", "worst quality, low quality " * 20):
        row = ours(text, padding="max_length", max_length=77, truncation=True).input_ids
        official = theirs(text)[0].tolist()
        end = official.index(49407) + 1
        assert row[:end] == official[:end] and set(row[end:]) <= {49407} and len(row) == 77


def test_random_numbers_fill_shared_parameters_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Widths grow where the true ones do, so that the parameters have the same names.
    small = {**full_size.UNET, "block_out_channels": (32, 64, 96, 96), "cross_attention_dim": 32}
    text = {
        **full_size.TEXT,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    monkeypatch.setattr(full_size, "UNET", small)
    monkeypatch.setattr(full_size, "TEXT", text)
    monkeypatch.setattr(full_size, "VAE", {**full_size.VAE, "block_out_channels": (32,) * 4})
    models = load_models("paper", ("interactdiffusion", "migc"), LoadOptions(random_weights=True))
    unets = [model.unet for model in models.models.values()]
    assert isinstance(models.models["interactdiffusion"], InteractDiffusion)
    assert isinstance(models.models["migc"], MIGC)
    assert not any(p.is_meta for module in models.modules().values() for p in module.parameters())
    shared = {id(p) for p in unets[0].parameters()} & {id(p) for p in unets[1].parameters()}
    assert len(shared) > 0.7 * len(list(unets[1].parameters()))
    again = load_models("paper", ("interactdiffusion", "migc"), LoadOptions(random_weights=True))
    for one, other in zip(unets[0].parameters(), again.models["interactdiffusion"].unet.parameters(), strict=True):
        assert torch.equal(one, other)
    first = next(unets[0].parameters())
    first.fill_(7)
    fill_randomly(list(models.modules().values()))  # what has values keeps them
    assert next(unets[0].parameters()) is first and (first == 7).all()
    with pytest.raises(InputError, match="weights_dir: is of the public checkpoints, and random weights were asked"):
        load_models("paper", ("migc",), LoadOptions(Path("weights"), random_weights=True))


def test_unknown_models_are_refused() -> None:
    with pytest.raises(InputError, match="unknown model 'sdxl'; there are: stable_diffusion, "):
        build_models(["sdxl"])
