"""Autoencoder and text encoder of an LDM checkpoint → the names of diffusers and transformers."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from amdm.checkpoints.keys.match import require_match

_RESNETS = {"conv_shortcut": "nin_shortcut"}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_TEXT = "transformer.text_model."
_POSITIONS = f"{_TEXT}embeddings.position_ids"
"""0 … 76, which transformers once saved and now counts itself."""


def vae_name(name: str, levels: int) -> str:
    """The LDM name of a parameter of ``AutoencoderKL`` with so many ``levels`` (its ``block_out_channels``).

    LDM numbers the levels of the decoder from the picture, diffusers from the latents.

    Raises:
        ValueError: a parameter that autoencoders of SD 1.x do not have.
    """
    half, _, rest = name.partition(".")
    if half in ("quant_conv", "post_quant_conv") or rest.startswith(("conv_in.", "conv_out.")):
        return name
    if rest.startswith("conv_norm_out."):
        return f"{half}.{rest.removeprefix('conv_')}"
    place, *parts = rest.split(".")
    if place == "mid_block" and parts[0] == "resnets":
        return f"{half}.mid.block_{int(parts[1]) + 1}.{_renamed('.'.join(parts[2:]), _RESNETS)}"
    if place == "mid_block" and parts[:2] == ["attentions", "0"]:
        return f"{half}.mid.attn_1.{_renamed('.'.join(parts[2:]), _ATTENTION)}"
    if place not in ("down_blocks", "up_blocks"):
        raise ValueError(f"no LDM name is known for {name}")
    level = int(parts[0]) if place == "down_blocks" else levels - 1 - int(parts[0])
    stage, inner = f"{half}.{place.removesuffix('_blocks')}.{level}", ".".join(parts[3:])
    if parts[1] == "resnets":
        return f"{stage}.block.{parts[2]}.{_renamed(inner, _RESNETS)}"
    return f"{stage}.{parts[1].removesuffix('rs')}.{inner}"  # downsamplers → downsample


def convert_vae(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], *, file: object = None
) -> dict[str, torch.Tensor]:
    """The checkpoint's ``autoencoder`` part under the names of ``expected`` (``AutoencoderKL.state_dict()``).

    LDM keeps the attention's linear layers as 1×1 convolutions; they lose their two last axes.

    Raises:
        InputError: a key is missing, left over or of another shape; it names them, by their LDM names.
    """
    levels = 1 + max(int(name.split(".")[2]) for name in expected if name.startswith("encoder.down_blocks."))
    source = {vae_name(name, levels): name for name in expected}
    shapes = {
        theirs: (*expected[ours].shape, 1, 1) if _is_flattened(ours, expected[ours]) else tuple(expected[ours].shape)
        for theirs, ours in source.items()
    }
    require_match(shapes, state, file=file)
    return {ours: state[theirs].reshape(expected[ours].shape) for theirs, ours in source.items()}


def convert_text_encoder(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], *, file: object = None
) -> dict[str, torch.Tensor]:
    """The checkpoint's ``text_encoder`` part under the names of ``expected`` (``CLIPTextModel.state_dict()``).

    Raises:
        InputError: a key is missing, left over or of another shape; it names them, by their LDM names.
    """
    source = {_TEXT + name.removeprefix("text_model."): name for name in expected}
    known = {name: value for name, value in state.items() if name != _POSITIONS}
    require_match({theirs: tuple(expected[ours].shape) for theirs, ours in source.items()}, known, file=file)
    return {ours: state[theirs] for theirs, ours in source.items()}


def _is_flattened(name: str, value: torch.Tensor) -> bool:
    return ".attentions." in name and value.ndim == 2


def _renamed(name: str, table: Mapping[str, str]) -> str:
    stem, _, kind = name.rpartition(".")
    return f"{table.get(stem, stem)}.{kind}"
