"""Gated self-attention between picture and grounding tokens, with its scale and an optional box bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import GatedSelfAttentionDense
from torch import nn


class BoxBias:
    """What to add to attention logits so that picture positions look at the tokens of boxes that cover them.

    ``strength · (2 · coverage − 1)`` from a picture position to a token, coverage being the share of the position's
    grid cell that lies in the token's box; ``−strength`` for unused tokens; 0 towards picture positions.

    Args:
        boxes: of the tokens, xyxy in [0, 1], (B, K, 4).
        used: 1 for tokens in use, else 0, (B, K).
        strength: logit units, above 0.
        latent_size: (height, width) of the latents; coarser grids are halves of it, rounded up.
    """

    def __init__(
        self, boxes: torch.Tensor, used: torch.Tensor, strength: float, latent_size: tuple[int, int]
    ) -> None:
        self.boxes, self.used, self.strength, self.latent_size = boxes, used, strength, latent_size
        self._by_tokens: dict[int, torch.Tensor] = {}

    def logits(self, visual_tokens: int) -> torch.Tensor:
        """The bias (B, V, V + K) of a layer that has V visual tokens; computed once per grid."""
        if visual_tokens not in self._by_tokens:
            grid = grid_of(visual_tokens, self.latent_size)
            covered = coverage(self.boxes.float(), grid) * self.used.float().unsqueeze(1)
            towards = (self.strength * (2 * covered - 1)).to(self.boxes.dtype)
            self._by_tokens[visual_tokens] = torch.nn.functional.pad(towards, (visual_tokens, 0))
        return self._by_tokens[visual_tokens]


@dataclass(frozen=True)
class GroundingTokens:
    """What a position net gives to every fuser: tokens (B, K, D), and the box bias if the model has one."""

    tokens: torch.Tensor
    bias: BoxBias | None = None


class GatedFuser(GatedSelfAttentionDense):
    """x + s·tanh(α)·attention, then x + s·tanh(α′)·feed-forward: diffusers' fuser with the scale s.

    Takes over the parameters of ``fuser`` under their names. (GLIGEN equation 8; `ldm/modules/attention.py` of
    InteractDiffusion.) Only the visual queries are evaluated, for only their answers are kept.
    """

    def __init__(self, fuser: GatedSelfAttentionDense, scale: float) -> None:
        nn.Module.__init__(self)
        for name, module in fuser.named_children():
            self.add_module(name, module)
        self.alpha_attn, self.alpha_dense = fuser.alpha_attn, fuser.alpha_dense
        self.scale = scale

    def forward(self, x: torch.Tensor, objs: GroundingTokens) -> torch.Tensor:
        """Visual tokens (B, V, C) → (B, V, C)."""
        visual = x.shape[1]
        both = self.norm1(torch.cat([x, self.linear(objs.tokens)], dim=1))
        bias = None if objs.bias is None else objs.bias.logits(visual)
        seen = self.attn(both[:, :visual], encoder_hidden_states=both, attention_mask=bias)
        x = x + self.scale * self.alpha_attn.tanh() * seen
        return x + self.scale * self.alpha_dense.tanh() * self.ff(self.norm2(x))


def install_fusers(unet: UNet2DConditionModel, scale: float) -> None:
    """Put a :class:`GatedFuser` in the place of every fuser of ``unet``; parameters and their names stay."""
    for block in [module for module in unet.modules() if hasattr(module, "fuser")]:
        block.fuser = GatedFuser(block.fuser, scale)


def grid_of(visual_tokens: int, latent_size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the attention grid that has this many positions, below latents of ``latent_size``.

    Raises:
        ValueError: no halving of the latents has this many positions.
    """
    rows, columns = latent_size
    while rows * columns > max(visual_tokens, 1):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    if rows * columns != visual_tokens:
        raise ValueError(f"{visual_tokens} positions are no grid of latents {latent_size[0]}×{latent_size[1]}")
    return rows, columns


def coverage(boxes: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Share of each grid cell that a box covers: xyxy (B, K, 4) → (B, rows · columns, K), in [0, 1]."""
    rows, columns = grid
    x1, y1, x2, y2 = boxes.unsqueeze(-2).unbind(-1)  # each (B, K, 1)
    down, across = _covered(y1, y2, rows), _covered(x1, x2, columns)
    return (down.unsqueeze(-1) * across.unsqueeze(-2)).flatten(2).transpose(1, 2)


def _covered(start: torch.Tensor, end: torch.Tensor, cells: int) -> torch.Tensor:
    """Share of each of ``cells`` equal parts of [0, 1] that [start, end] covers: (B, K, 1) → (B, K, cells)."""
    edges = torch.arange(cells, device=start.device, dtype=start.dtype)
    overlap = torch.minimum(end * cells, edges + 1) - torch.maximum(start * cells, edges)
    return overlap.clamp(0, 1)
