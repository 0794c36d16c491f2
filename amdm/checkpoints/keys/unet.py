"""InteractDiffusion's public checkpoint (LDM names) → the names of diffusers' UNet with position net and fusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from amdm.checkpoints.keys.match import require_match

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_MIDDLE = {("resnets", 0): 0, ("attentions", 0): 1, ("resnets", 1): 2}


def ldm_name(name: str, config: Mapping[str, Any]) -> str:
    """The LDM name of a parameter of ``UNet2DConditionModel`` under ``config`` (its ``unet.config``).

    LDM numbers the layers of the down path, and of the up path, in one row; position net and what lies inside
    attention blocks have the same names in both.

    Raises:
        ValueError: a parameter that SD 1.x UNets do not have.
    """
    if name.startswith("position_net."):
        return name
    for ours, theirs in _TOP.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    place, *rest = name.split(".")
    if place == "mid_block" and rest[0] in ("resnets", "attentions"):
        kind, index, *inner = rest
        return ".".join(["middle_block", str(_MIDDLE[kind, int(index)]), _inner(kind, inner)])
    if place not in ("down_blocks", "up_blocks"):
        raise ValueError(f"no LDM name is known for {name}")
    return _path_name(place, int(rest[0]), rest[1], int(rest[2]), rest[3:], config)


def _path_name(place: str, block: int, kind: str, index: int, inner: list[str], config: Mapping[str, Any]) -> str:
    per_block = int(config["layers_per_block"])
    if place == "down_blocks":
        first = 1 + block * (per_block + 1)  # after conv_in; each level ends with its downsampler
        if kind == "downsamplers":
            return ".".join(["input_blocks", str(first + per_block), "0", "op", *inner[1:]])
        return ".".join(["input_blocks", str(first + index), _slot(kind), _inner(kind, inner)])
    first = block * (per_block + 1)
    if kind == "upsamplers":  # shares its number with the level's last layer, behind resnet and attention
        position = "2" if "CrossAttn" in config["up_block_types"][block] else "1"
        return ".".join(["output_blocks", str(first + per_block), position, *inner])
    return ".".join(["output_blocks", str(first + index), _slot(kind), _inner(kind, inner)])


def _slot(kind: str) -> str:
    return {"resnets": "0", "attentions": "1"}[kind]


def _inner(kind: str, inner: list[str]) -> str:
    return ".".join([_RESNET[inner[0]], *inner[1:]] if kind == "resnets" else inner)


def convert_unet(
    state: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    *,
    file: object = None,
) -> dict[str, torch.Tensor]:
    """The tensors of ``state`` under the names of ``expected``.

    Args:
        state: the checkpoint's ``model`` part, LDM names, already in memory.
        expected: ``state_dict()`` of the UNet to load, position net and fusers included.
        config: that UNet's ``config``.
        file: where ``state`` came from, for errors.

    Raises:
        InputError: a key is missing, left over or of another shape; it names them, by their LDM names.
    """
    source = {ldm_name(name, config): name for name in expected}
    shapes = {theirs: tuple(expected[ours].shape) for theirs, ours in source.items()}
    require_match(shapes, state, file=file)
    return {ours: state[theirs] for theirs, ours in source.items()}
