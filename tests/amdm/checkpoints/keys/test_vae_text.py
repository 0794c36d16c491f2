"""LDM names of autoencoder and text encoder, against diffusers' own conversion."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from transformers import CLIPTextConfig, CLIPTextModel

from amdm.checkpoints.keys.vae_text import convert_text_encoder, convert_vae, vae_name
from amdm.errors import InputError

State = dict[str, torch.Tensor]

SMALL: dict[str, Any] = {
    "block_out_channels": (32, 64, 64),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "layers_per_block": 2,
}


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    return AutoencoderKL(**SMALL)


@pytest.fixture
def ldm_vae(vae: AutoencoderKL) -> State:
    state = {vae_name(name, 3): value for name, value in vae.state_dict().items()}
    assert len(state) == len(vae.state_dict())
    return {
        name: value[..., None, None] if "attn_1" in name and value.ndim == 2 else value for name, value in state.items()
    }


def test_autoencoder_as_diffusers_converts_it(vae: AutoencoderKL, ldm_vae: State) -> None:
    converted = convert_vae(ldm_vae, vae.state_dict())
    theirs = convert_ldm_vae_checkpoint(dict(ldm_vae), vae.config)
    assert set(converted) == set(theirs) == set(vae.state_dict())
    for name, value in vae.state_dict().items():
        assert torch.equal(converted[name], value)
        assert torch.equal(theirs[name], value)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("encoder.down_blocks.1.resnets.0.conv_shortcut.weight", "encoder.down.1.block.0.nin_shortcut.weight"),
        ("encoder.down_blocks.0.downsamplers.0.conv.bias", "encoder.down.0.downsample.conv.bias"),
        ("encoder.mid_block.attentions.0.to_out.0.weight", "encoder.mid.attn_1.proj_out.weight"),
        ("decoder.mid_block.resnets.1.norm2.weight", "decoder.mid.block_2.norm2.weight"),
        ("decoder.up_blocks.0.upsamplers.0.conv.weight", "decoder.up.3.upsample.conv.weight"),
        ("decoder.conv_norm_out.bias", "decoder.norm_out.bias"),
        ("post_quant_conv.weight", "post_quant_conv.weight"),
    ],
)
def test_names_of_sd14(ours: str, theirs: str) -> None:
    assert vae_name(ours, 4) == theirs


def test_what_does_not_fit_the_autoencoder_is_named(vae: AutoencoderKL, ldm_vae: State) -> None:
    ldm_vae["loss.logvar"] = ldm_vae.pop("quant_conv.bias")
    ldm_vae["encoder.mid.attn_1.q.weight"] = ldm_vae["encoder.mid.attn_1.q.weight"][..., 0]
    with pytest.raises(InputError) as error:
        convert_vae(ldm_vae, vae.state_dict(), file="some.pth")
    for part in ("missing: quant_conv.bias", "left over: loss.logvar", "attn_1.q.weight (64, 64, 1) instead of"):
        assert part in str(error.value)


def test_text_encoder() -> None:
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 9,
    }
    expected = CLIPTextModel(CLIPTextConfig(**sizes)).state_dict()
    ldm = {f"transformer.text_model.{name.removeprefix('text_model.')}": value for name, value in expected.items()}
    assert "transformer.text_model.encoder.layers.1.self_attn.q_proj.weight" in ldm  # the published spelling
    ldm["transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    converted = convert_text_encoder(ldm, expected)
    assert set(converted) == set(expected)
    assert all(converted[name] is value for name, value in expected.items())
    with pytest.raises(InputError, match=r"left over: logit_scale"):
        convert_text_encoder({**ldm, "logit_scale": torch.zeros(())}, expected)
