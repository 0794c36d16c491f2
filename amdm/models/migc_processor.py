"""The attention processor that puts MIGC into the cross-attention layers of a diffusers UNet."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn.functional import interpolate

from amdm.models.geometry import layer_grid
from amdm.models.migc_attention import InstanceScales, LayerMasks, MIGCAttention, multi_head, naive_fusion


class AttentionMode(Enum):
    """What a cross-attention layer does in a step."""

    MIGC = "migc"  # layers that have MIGC use it; others attend to the caption
    MIGC_AND_NAIVE = "migc+naive"  # layers that have MIGC use it; others the naive fuser
    NAIVE = "naive"  # every layer the naive fuser
    VANILLA = "vanilla"  # every layer the caption alone


@dataclass
class MIGCConditions:
    """Conditions of B pictures, padded to the n instances of the largest.

    contexts: (B, 1+n, L, D), text embeddings of [caption, instances]. pooled: (B, n, D). boxes: (B, n, 4), xyxy.
    valid: (B, n), bool. masks: (B, 1+n, h, w) at latent size: background, then instances, in [0, 1].
    scales: optional factors by instance.
    """

    contexts: torch.Tensor
    pooled: torch.Tensor
    boxes: torch.Tensor
    valid: torch.Tensor
    masks: torch.Tensor
    scales: InstanceScales | None = None
    _by_grid: dict[tuple[int, int], LayerMasks] = field(default_factory=dict, repr=False)

    def to(self, device: torch.device) -> MIGCConditions:
        """On another device."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **moved, _by_grid={})

    def layer_masks(self, grid: tuple[int, int]) -> LayerMasks:
        """The masks on a layer's grid (rows, columns), bilinear; made once for each grid."""
        if grid not in self._by_grid:
            masks = interpolate(self.masks, grid, mode="bilinear")
            self._by_grid[grid] = LayerMasks(masks[:, 1:], masks[:, :1], self.valid)
        return self._by_grid[grid]


@dataclass
class MIGCState:
    """What the processors of a UNet read in one call of it.

    unconditional: (U, L, D), contexts of the rows before the B conditional ones; None where there are no such rows.
    permutations: for each MIGC layer (B, slots), int64.
    """

    conditions: MIGCConditions | None = None
    branch: AttentionMode = AttentionMode.VANILLA
    unconditional: torch.Tensor | None = None
    permutations: dict[str, torch.Tensor] = field(default_factory=dict)


CALL: ContextVar[MIGCState | None] = ContextVar("CALL", default=None)
"""That of the UNet's call that is under way in this thread. Nothing of a call is kept on the layers, which threads and
denoisers share."""


class MIGCProcessor(nn.Module):
    """Cross attention of [unconditional; conditional] rows.

    Args:
        state: read where no call hands one over (:data:`CALL`). layer: the layer's path in the UNet.
        migc: the layer's module, if it has one.
    """

    def __init__(self, state: MIGCState, layer: str, migc: MIGCAttention | None) -> None:
        super().__init__()
        self._state, self.layer = state, layer
        if migc is not None:
            self.migc = migc

    def forward(
        self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, **ignored: object
    ) -> torch.Tensor:
        """hidden_states (U+B, HW, C) → the same shape. The caption's context (U+B, L, D) is used in vanilla steps."""
        state = CALL.get() or self._state
        conditions = state.conditions
        has_migc = hasattr(self, "migc") and state.branch in (AttentionMode.MIGC, AttentionMode.MIGC_AND_NAIVE)
        naive = state.branch in (AttentionMode.NAIVE, AttentionMode.MIGC_AND_NAIVE)
        if conditions is None or not (has_migc or naive):
            return _attend(attn, hidden_states.unsqueeze(1), encoder_hidden_states.unsqueeze(1)).squeeze(1)
        start = len(hidden_states) - len(conditions.contexts)
        rows = hidden_states[start:]
        ca_x = _attend(attn, rows.unsqueeze(1), conditions.contexts.to(rows.dtype))
        masks = conditions.layer_masks(layer_grid(rows.shape[1], conditions.masks.shape[-2:]))
        if has_migc:
            pooled = conditions.pooled.to(rows.dtype)
            permutation = state.permutations[self.layer].to(rows.device)
            fused = self.migc(ca_x, rows, pooled, conditions.boxes, masks, permutation, conditions.scales)
        else:
            fused = naive_fusion(ca_x, masks)
        if start == 0:
            return fused
        plain = _attend(attn, hidden_states[:start].unsqueeze(1), encoder_hidden_states[:start].unsqueeze(1)).squeeze(1)
        return torch.cat([plain, fused.to(plain.dtype)])


def _attend(attn: Attention, rows: torch.Tensor, contexts: torch.Tensor) -> torch.Tensor:
    """Cross attention of the same rows (B, 1, HW, C) to K contexts (B, K, L, D) → (B, K, HW, C); queries once."""
    mixed = multi_head(attn.to_q(rows), attn.to_k(contexts), attn.to_v(contexts), attn.heads)
    return attn.to_out[1](attn.to_out[0](mixed))
