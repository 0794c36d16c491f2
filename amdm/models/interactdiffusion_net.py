"""InteractDiffusion's grounding: three tokens an interaction, and the gated attention that reads them.

Structure and parameter names follow `HOIPositionNetV5` and `GatedSelfAttentionDense` of the official code
(ldm/modules/diffusionmodules/text_grounding_net.py, ldm/modules/attention.py), so that its checkpoints load.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from diffusers.models.attention import GatedSelfAttentionDense
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from amdm.models.geometry import FREQUENCIES, fourier_embedding, layer_grid

ROLES = 3


@dataclass
class GroundingTokens:
    """What the fusers read: subject tokens of all slots, then action tokens, then object tokens.

    tokens: (B, 3·slots, D). boxes: (B, 3·slots, 4), xyxy in [0, 1]. used: (B, 3·slots), 1 where the slot is in use.
    latent: rows and columns of the latents; only the box bias asks for them.
    scale: factor on both gates of every fuser (official `fuser.scale`); 0 switches them off.
    box_bias: see :class:`GatedGroundingAttention`.
    """

    tokens: torch.Tensor
    boxes: torch.Tensor
    used: torch.Tensor
    latent: tuple[int, int] | None = None
    scale: float = 1.0
    box_bias: float = 0.0
    _by_layer: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)

    def pull(self, cells: int) -> torch.Tensor:
        """2·coverage − 1, coverage being the share of a layer's cell inside a used token's box: (B, cells, 3·slots).

        Made once for each size of layer.
        """
        if cells not in self._by_layer:
            assert self.latent is not None, "a box bias needs the size of the latents"
            covered = cell_coverage(self.boxes, layer_grid(cells, self.latent))
            self._by_layer[cells] = 2 * covered * self.used.unsqueeze(1) - 1
        return self._by_layer[cells]


class InteractionNet(nn.Module):
    """Phrases and boxes of interactions → grounding tokens.

    Args:
        in_dim: width of the pooled phrase embeddings. out_dim: width of the tokens. slots: interactions a picture.
    """

    def __init__(self, in_dim: int, out_dim: int, slots: int = 30) -> None:
        super().__init__()
        self.slots = slots
        width = in_dim + 8 * FREQUENCIES
        self.linears = _mlp(width, out_dim)
        self.linear_action = _mlp(width, out_dim)
        self.null_positive_feature = nn.Parameter(torch.zeros(in_dim))
        self.null_action_feature = nn.Parameter(torch.zeros(in_dim))
        self.null_position_feature = nn.Parameter(torch.zeros(8 * FREQUENCIES))
        self.interaction_embedding = _Table(slots, out_dim)
        self.position_embedding = _Table(ROLES, out_dim)

    def forward(
        self,
        subject_boxes: torch.Tensor,
        object_boxes: torch.Tensor,
        masks: torch.Tensor,
        subject_embeddings: torch.Tensor,
        object_embeddings: torch.Tensor,
        action_embeddings: torch.Tensor,
        latent: tuple[int, int] | None = None,
        scale: float = 1.0,
        box_bias: float = 0.0,
    ) -> GroundingTokens:
        """Boxes (B, slots, 4), masks (B, slots), embeddings (B, slots, in_dim) → tokens in the order S, A, O.

        A masked slot still emits tokens, made of the null features alone. ``latent``, ``scale`` and
        ``box_bias`` are handed on to the fusers.
        """
        mask = masks.unsqueeze(-1).to(subject_embeddings.dtype)
        action_boxes = between(subject_boxes, object_boxes)
        slot = self.interaction_embedding.emb.weight
        # Official numbering of roles: 0 subject, 1 object, 2 action, although the tokens go subject, action, object.
        role = self.position_embedding.emb.weight
        null = self.null_positive_feature
        subject = self.linears(self._features(subject_embeddings, null, subject_boxes, mask)) + slot + role[0]
        target = self.linears(self._features(object_embeddings, null, object_boxes, mask)) + slot + role[1]
        features = self._features(action_embeddings, self.null_action_feature, action_boxes, mask)
        action = self.linear_action(features) + slot + role[2]
        return GroundingTokens(
            torch.cat([subject, action, target], dim=1),
            torch.cat([subject_boxes, action_boxes, object_boxes], dim=1),
            masks.repeat(1, ROLES),
            latent,
            scale,
            box_bias,
        )

    def _features(
        self, embeddings: torch.Tensor, null: torch.Tensor, boxes: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        position = fourier_embedding(boxes).to(embeddings.dtype)
        return torch.cat(
            [embeddings * mask + (1 - mask) * null, position * mask + (1 - mask) * self.null_position_feature], dim=-1
        )


class GatedGroundingAttention(GatedSelfAttentionDense):
    """diffusers' GLIGEN fuser, with a scale on its gates and an optional pull of tokens toward their boxes.

    Both come with the tokens of a call. ``box_bias`` is 0 in every published model; otherwise
    box_bias·(2·coverage − 1) is added to the logit of a visual query for a grounding key, coverage being the share of
    the query's grid cell inside the key's box (0 for unused slots).
    """

    def forward(self, x: torch.Tensor, objs: GroundingTokens) -> torch.Tensor:
        """Visual tokens (B, HW, C) → the same shape."""
        if objs.scale == 0.0:
            return x
        tokens = self.linear(objs.tokens)
        seen = self.norm1(torch.cat([x, tokens], dim=1))
        attended = self.attn(seen)[:, : x.shape[1]] if objs.box_bias == 0.0 else self._biased(seen, x.shape[1], objs)
        x = x + objs.scale * self.alpha_attn.tanh() * attended
        return x + objs.scale * self.alpha_dense.tanh() * self.ff(self.norm2(x))

    def _biased(self, seen: torch.Tensor, visual: int, objs: GroundingTokens) -> torch.Tensor:
        """The attention of the visual tokens with the box bias on their logits for grounding tokens."""
        bias = objs.box_bias * objs.pull(visual)
        bias = torch.cat([bias.new_zeros(len(seen), visual, visual), bias], dim=2).unsqueeze(1).to(seen.dtype)
        query, key, value = (
            part.unflatten(-1, (self.attn.heads, -1)).transpose(1, 2)
            for part in (self.attn.to_q(seen[:, :visual]), self.attn.to_k(seen), self.attn.to_v(seen))
        )
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.attn.to_out[0](mixed.transpose(1, 2).flatten(2))


def between(subject_boxes: torch.Tensor, object_boxes: torch.Tensor) -> torch.Tensor:
    """The action's box: the two middle values of both boxes' coordinates on each axis, (…, 4) → (…, 4)."""
    xs = torch.cat([subject_boxes[..., 0::2], object_boxes[..., 0::2]], dim=-1).sort(-1).values[..., 1:3]
    ys = torch.cat([subject_boxes[..., 1::2], object_boxes[..., 1::2]], dim=-1).sort(-1).values[..., 1:3]
    return torch.stack([xs[..., 0], ys[..., 0], xs[..., 1], ys[..., 1]], dim=-1)


def cell_coverage(boxes: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Share of each cell of a grid (rows, columns) in each box: (B, K, 4) → (B, cells, K), in [0, 1], row by row."""

    def covered(first: torch.Tensor, last: torch.Tensor, cells: int) -> torch.Tensor:
        edges = torch.arange(cells + 1, device=boxes.device, dtype=torch.float32) / cells
        overlap = torch.minimum(last.unsqueeze(-1), edges[1:]) - torch.maximum(first.unsqueeze(-1), edges[:-1])
        return overlap.clamp(min=0) * cells

    rows, columns = grid
    x, y = covered(boxes[..., 0], boxes[..., 2], columns), covered(boxes[..., 1], boxes[..., 3], rows)
    return (y.unsqueeze(-1) * x.unsqueeze(-2)).flatten(2).transpose(1, 2)


class _Table(nn.Module):
    """An embedding read as a whole; its parameter is named as in the official checkpoint."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(rows, dim)


def _mlp(width: int, out_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 512), nn.SiLU(), nn.Linear(512, 512), nn.SiLU(), nn.Linear(512, out_dim))
