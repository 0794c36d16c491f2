"""LDM → diffusers names: every parameter of SD 1.4's gated UNet and of the mini UNet, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from amdm.checkpoints.keys.unet import convert_unet, ldm_name
from amdm.errors import InputError
from amdm.mini.sizes import UNET

SD14: dict[str, Any] = {"cross_attention_dim": 768, "attention_head_dim": 8}


def _gated(config: dict[str, Any]) -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(**config, attention_type="gated")


@pytest.mark.parametrize("config", [SD14, UNET], ids=["sd14", "mini"])
def test_names_are_distinct_and_values_come_back(config: dict[str, Any]) -> None:
    unet = _gated(config)
    expected = unet.state_dict()
    state = {ldm_name(name, unet.config): value for name, value in expected.items()}
    assert len(state) == len(expected)
    converted = convert_unet(state, expected, unet.config)
    assert all(converted[name] is value for name, value in expected.items())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("conv_in.weight", "input_blocks.0.0.weight"),
        ("down_blocks.0.resnets.1.conv1.weight", "input_blocks.2.0.in_layers.2.weight"),
        ("down_blocks.0.downsamplers.0.conv.bias", "input_blocks.3.0.op.bias"),
        ("down_blocks.2.attentions.0.proj_in.weight", "input_blocks.7.1.proj_in.weight"),
        ("down_blocks.3.resnets.1.norm2.bias", "input_blocks.11.0.out_layers.0.bias"),
        ("mid_block.attentions.0.norm.weight", "middle_block.1.norm.weight"),
        ("mid_block.resnets.1.time_emb_proj.weight", "middle_block.2.emb_layers.1.weight"),
        ("up_blocks.0.upsamplers.0.conv.weight", "output_blocks.2.1.conv.weight"),
        ("up_blocks.1.upsamplers.0.conv.weight", "output_blocks.5.2.conv.weight"),
        (
            "up_blocks.3.attentions.2.transformer_blocks.0.fuser.alpha_attn",
            "output_blocks.11.1.transformer_blocks.0.fuser.alpha_attn",
        ),
        ("conv_norm_out.weight", "out.0.weight"),
    ],
)
def test_names_of_sd14(ours: str, theirs: str) -> None:
    unet = _gated(SD14)
    assert ours in unet.state_dict()
    assert ldm_name(ours, unet.config) == theirs


def test_what_does_not_fit_is_named() -> None:
    unet = _gated(UNET)
    expected = unet.state_dict()
    state = {ldm_name(name, unet.config): value for name, value in expected.items()}
    state["stranger.weight"] = state.pop("out.2.bias")
    state["out.0.bias"] = torch.zeros(3)
    with pytest.raises(InputError) as error:
        convert_unet(state, expected, unet.config, file="some.pth")
    message = str(error.value)
    assert message.startswith("some.pth: ")
    for part in ("missing: out.2.bias", "left over: stranger.weight", "of another shape: out.0.bias (3,)"):
        assert part in message
