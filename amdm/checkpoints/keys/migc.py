"""MIGC's checkpoint names → the places of its modules in a diffusers UNet.

Rule of the official loader (migc_utils.py): a key holds a component ``migc``; ``input_blocks``, ``middle_block`` or
anything else (output blocks) name the part of the UNet, the fourth component is the LDM block index.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from amdm.checkpoints.keys.match import require_match
from amdm.errors import InputError


def convert_migc(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], *, file: object = None
) -> dict[str, torch.Tensor]:
    """The checkpoint's ``state_dict``, already in memory, under the names of ``expected``.

    Args:
        expected: :meth:`amdm.models.migc.MIGC.control_state_dict` of the model to load.
        file: where ``state`` came from, for errors.

    Raises:
        InputError: a key that the rule does not place, two keys for one place, or keys missing, left over or of
            another shape; it names them, a missing one by our name.
    """
    source: dict[str, str] = {}
    for key in state:
        name = f"{migc_layer(key, file=file)}.attn2.processor.{_parameter(key)}"
        if name in source:
            raise InputError("two keys name one parameter", file=file, field=key)
        source[name] = key
    require_match({source.get(name, name): tuple(value.shape) for name, value in expected.items()}, state, file=file)
    return {name: state[key] for name, key in source.items()}


def migc_layer(key: str, *, file: object = None) -> str:
    """The transformer block (a diffusers path) that a checkpoint key belongs to."""
    parts = key.split(".")
    if "migc" not in parts or len(parts) < 5 or not parts[3].isdigit():
        raise InputError("is not a MIGC key: no component migc, or no block index", file=file, field=key)
    block = int(parts[3])
    if "middle_block" in parts:
        return "mid_block.attentions.0.transformer_blocks.0"
    if "input_blocks" in parts:
        return f"down_blocks.{block // 3}.attentions.{block % 3 - 1}.transformer_blocks.0"
    return f"up_blocks.{block // 3}.attentions.{block % 3}.transformer_blocks.0"


def _parameter(key: str) -> str:
    parts = key.split(".")
    return ".".join(parts[parts.index("migc") :])
