"""MIGC's attention: what each instance adds to a cross-attention layer, and how the parts are weighed.

Structure and parameter names follow `MIGC` of the official code (migc/migc_arch.py, migc/migc_layers.py), so that its
checkpoint loads; the arithmetic is batched over pictures with different numbers of instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from amdm.models.geometry import FREQUENCIES, fourier_embedding

NAIVE_INSTANCE_WEIGHT = 10.0


@dataclass(frozen=True)
class LayerMasks:
    """Where things are, on one layer's grid.

    instances: (B, n, H, W) in [0, 1], zero for padding. background: (B, 1, H, W), 1 − union. valid: (B, n), bool.
    """

    instances: torch.Tensor
    background: torch.Tensor
    valid: torch.Tensor

    @cached_property
    def together(self) -> torch.Tensor:
        """Which positions share a mask, (B, 1, HW, HW), bool. Every position shares one with itself."""
        every = torch.cat([self.background, self.instances], dim=1).flatten(2)
        return (every.transpose(1, 2) @ every > 0).unsqueeze(1)


class InstanceScales(NamedTuple):
    """Factors by instance, each (B, n): on its cross attention, its enhancement, and its logit in the controller."""

    ca: torch.Tensor
    ea: torch.Tensor
    sac: torch.Tensor


class MIGCAttention(nn.Module):
    """Enhancement attention, layout attention and the shading aggregation controller of one layer.

    Args:
        channels: C of the layer. context_dim: width of the text embeddings. slots: instances a picture at most (28).
        heads: of both attentions.
    """

    def __init__(self, channels: int, context_dim: int, slots: int = 28, heads: int = 8) -> None:
        super().__init__()
        self.slots = slots
        self.ea = _Attention(channels, context_dim, heads)
        self.la = _Attention(channels, channels, heads)
        self.norm = nn.LayerNorm(channels)
        self.sac = ShadingController(channels, slots)
        self.pos_net = BoxNet(context_dim)

    def forward(
        self,
        ca_x: torch.Tensor,
        image_token: torch.Tensor,
        pooled: torch.Tensor,
        boxes: torch.Tensor,
        masks: LayerMasks,
        permutation: torch.Tensor,
        scales: InstanceScales | None = None,
    ) -> torch.Tensor:
        """The layer's new output (B, HW, C).

        Args:
            ca_x: cross attention to [global, instances], (B, 1+n, HW, C). image_token: the layer's input, (B, HW, C).
            pooled: pooled embeddings of the instances, (B, n, D). boxes: xyxy in [0, 1], (B, n, 4).
            permutation: (B, slots), int64: slot k of the controller reads instance permutation[k].
        """
        inside = masks.instances.flatten(2).unsqueeze(-1).to(ca_x.dtype)
        outside = masks.background.flatten(2).unsqueeze(-1).to(ca_x.dtype)
        enhanced = self.enhancement(image_token, pooled, boxes)
        instances = ca_x[:, 1:]
        if scales is not None:
            instances, enhanced = instances * scales.ca[..., None, None], enhanced * scales.ea[..., None, None]
        template = self.la(image_token, image_token, masks.together).unsqueeze(1)
        entries = torch.cat([ca_x[:, :1] * outside, (instances + enhanced) * inside, template], dim=1)
        weights = self.sac(entries, masks, permutation, None if scales is None else scales.sac)
        return (entries * weights.flatten(2).unsqueeze(-1).to(entries.dtype)).sum(1)

    def enhancement(self, image_token: torch.Tensor, pooled: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        """Each instance's answer to its text and its box, (B, n, HW, C)."""
        tokens = torch.stack([pooled, self.pos_net(boxes).to(pooled.dtype)], dim=2)
        query = self.norm(image_token).unsqueeze(1)
        return self.ea(query, tokens)


class ShadingController(nn.Module):
    """SAC: a logit map for each entry, and the softmax over entries."""

    def __init__(self, channels: int, slots: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels + 1, channels, 1)
        self.cbam1 = CBAM(channels, 16)
        self.conv2 = nn.Conv2d(channels, 1, 1)
        self.cbam2 = CBAM(slots + 2, 1)
        self.slots = slots

    def forward(
        self, entries: torch.Tensor, masks: LayerMasks, permutation: torch.Tensor, scale: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Entries (B, n+2, HW, C) [background, instances, template] → weights (B, n+2, H, W), summing to 1.

        A padded instance is all zero, as is the null entry that fills the free slots: both get the same logits.
        """
        batch, count = masks.instances.shape[:2]
        height, width = masks.instances.shape[2:]
        every = torch.cat([entries, torch.zeros_like(entries[:, :1])], dim=1)
        ones = torch.ones_like(masks.background)
        shade = torch.cat([masks.background, masks.instances, ones, torch.zeros_like(ones)], dim=1)
        maps = every.transpose(2, 3).unflatten(3, (height, width))
        maps = torch.cat([maps, shade.unsqueeze(2).to(maps.dtype)], dim=2).flatten(0, 1)
        logits = self.conv2(self.cbam1(self.conv1(maps))).view(batch, count + 3, height, width)
        null = logits[:, -1:]
        padded = torch.cat([logits[:, 1 : count + 1], null.expand(-1, self.slots - count, -1, -1)], dim=1)
        where = permutation.view(batch, self.slots, 1, 1).expand_as(padded)
        mixed = self.cbam2(torch.cat([logits[:, :1], padded.gather(1, where), logits[:, -2:-1]], dim=1))
        back = torch.zeros_like(padded).to(mixed.dtype).scatter(1, where, mixed[:, 1:-1])[:, :count]
        if scale is not None:
            back = back * scale[..., None, None]
        back = back.masked_fill(~masks.valid.view(batch, count, 1, 1), float("-inf"))
        return torch.cat([mixed[:, :1], back, mixed[:, -1:]], dim=1).float().softmax(1)


class CBAM(nn.Module):
    """Convolutional block attention (Woo et al., 2018): a gate over channels, then a gate over places."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = channels // reduction
        mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        # Nested so that the parameters have the official names.
        self.ChannelGate = nn.ModuleDict({"mlp": mlp})
        self.SpatialGate = nn.ModuleDict(
            {"spatial": nn.ModuleDict({"conv": nn.Conv2d(2, 1, 7, padding=3, bias=False)})}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → the same shape."""
        mlp = self.ChannelGate["mlp"]
        x = x * (mlp(x.mean((2, 3))) + mlp(x.amax((2, 3)))).sigmoid()[..., None, None]
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        return x * self.SpatialGate["spatial"]["conv"](pooled).sigmoid()  # type: ignore[index]


class BoxNet(nn.Module):
    """A box as one token: Fourier features of (x1, x2, y1, y2), then three layers."""

    def __init__(self, out_dim: int) -> None:
        super().__init__()
        self.linears_position = nn.Sequential(
            nn.Linear(8 * FREQUENCIES, 512), nn.SiLU(), nn.Linear(512, 512), nn.SiLU(), nn.Linear(512, out_dim)
        )

    def forward(self, boxes: torch.Tensor) -> torch.Tensor:
        """xyxy (…, 4) → (…, out_dim)."""
        # The official processor hands over the two x before the two y.
        features = fourier_embedding(boxes[..., [0, 2, 1, 3]])
        return self.linears_position(features.to(next(self.parameters()).dtype))


class _Attention(nn.Module):
    """Multi-head attention without bias on queries, keys and values; any leading dimensions."""

    def __init__(self, query_dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(query_dim, query_dim, bias=False)
        self.to_k = nn.Linear(context_dim, query_dim, bias=False)
        self.to_v = nn.Linear(context_dim, query_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(query_dim, query_dim))

    def forward(self, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (…, N, C), context (…, M, D) → (…, N, C); leading dimensions broadcast."""
        return self.to_out(multi_head(self.to_q(x), self.to_k(context), self.to_v(context), self.heads, mask))


def multi_head(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Query (…, N, C), key and value (…, M, C) → (…, N, C); the query's leading dimensions broadcast to the key's."""
    leading = key.shape[:-2]
    query = query.expand(*leading, *query.shape[-2:])
    # The fused kernels take exactly four dimensions.
    q, k, v = (part.flatten(0, -3).unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return mixed.transpose(1, 2).flatten(2).unflatten(0, leading)


def naive_fusion(ca_x: torch.Tensor, masks: LayerMasks) -> torch.Tensor:
    """MIGC's fuser without parameters: weight 1 for the picture, 10·mask an instance. (B, 1+n, HW, C) → (B, HW, C)."""
    inside = NAIVE_INSTANCE_WEIGHT * masks.instances.flatten(2)
    weights = torch.cat([torch.ones_like(inside[:, :1]), inside], dim=1)
    weights = weights / (weights.sum(1, keepdim=True) + 1e-6)
    return (ca_x * weights.unsqueeze(-1).to(ca_x.dtype)).sum(1)
