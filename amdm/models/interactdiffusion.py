"""InteractDiffusion (Hoe et al., 2024): interactions placed by gated attention to grounding tokens.

Formulas from the paper and the behaviour of the official code (hoi_model.py, text_grounding_net.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import nn

from amdm.errors import InputError
from amdm.layout import Layout
from amdm.models.control import ControlModel, GuidedDenoiser, SampleRequest, check_slots
from amdm.models.interactdiffusion_net import GatedGroundingAttention, InteractionNet
from amdm.models.spec import ModelSpec, PublicWeights
from amdm.models.text import Encode, PhraseEncoder


@dataclass(frozen=True)
class InteractionConditions:
    """Grounding of B pictures, padded to the model's slots.

    subject_boxes, object_boxes: (B, slots, 4), xyxy in [0, 1], zero in unused slots. masks: (B, slots), 1 where used.
    subject_embeddings, object_embeddings, action_embeddings: (B, slots, D), pooled text embeddings.
    """

    subject_boxes: torch.Tensor
    object_boxes: torch.Tensor
    masks: torch.Tensor
    subject_embeddings: torch.Tensor
    object_embeddings: torch.Tensor
    action_embeddings: torch.Tensor

    def without(self, dropped: torch.Tensor) -> InteractionConditions:
        """The same with null grounding in the rows where ``dropped`` (B,) is true."""
        return replace(self, masks=self.masks * (~dropped).to(self.masks.dtype).unsqueeze(1))

    def for_guidance(self) -> InteractionConditions:
        """Doubled to [uncond, cond]: boxes and embeddings in both halves, the masks of the unconditional half 0."""
        doubled = {name: torch.cat([value, value]) for name, value in vars(self).items()}
        doubled["masks"] = torch.cat([torch.zeros_like(self.masks), self.masks])
        return InteractionConditions(**doubled)

    def to(self, device: torch.device, dtype: torch.dtype) -> InteractionConditions:
        """On another device, embeddings and masks in another dtype; boxes stay float32 (they become angles)."""
        moved = {
            name: v.to(device) if name.endswith("boxes") else v.to(device, dtype) for name, v in vars(self).items()
        }
        return InteractionConditions(**moved)


class InteractDiffusion(ControlModel):
    """A Stable Diffusion UNet with gated attention to subject, action and object tokens.

    Args:
        unet: built with ``attention_type="gated"``; its position net and fusers are replaced by fresh ones of the
            official kind, so weights are loaded into it afterwards.
        slots: interactions a picture (30 in the public checkpoints).
        fuser_beta: share of the steps in which the fusers are on (scheduled sampling; 1 = always).
        fuser_scale: factor on the fusers' gates.
        box_bias: off (0) at full size; see :class:`GatedGroundingAttention`.
    """

    name = "interactdiffusion"
    reads = frozenset({"caption", "instances", "interactions"})

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text: PhraseEncoder,
        scheduler: SchedulerMixin,
        *,
        slots: int = 30,
        fuser_beta: float = 1.0,
        fuser_scale: float = 1.0,
        box_bias: float = 0.0,
    ) -> None:
        super().__init__(unet, text, scheduler)
        self.slots, self.fuser_beta, self.fuser_scale, self.box_bias = slots, fuser_beta, fuser_scale, box_bias
        width = int(unet.config["cross_attention_dim"])
        unet.position_net = InteractionNet(text.dim, width, slots)
        blocks = [module for module in unet.modules() if hasattr(module, "fuser")]
        if not blocks:
            raise InputError('the UNet has no fusers; build it with attention_type="gated"', field="unet")
        for block in blocks:
            _replace_fuser(block)

    def conditions(self, layouts: Sequence[Layout], encode: Encode | None = None) -> InteractionConditions:
        """Grounding of the layouts' interactions; without any, each instance "and" itself.

        Args:
            encode: texts → (hidden, pooled); the model's phrase encoder by default, another one in training.

        Raises:
            InputError: a layout without interactions and instances, or with more than the model's slots.
        """
        rows = [layout.triples() for layout in layouts]
        check_slots(self.name, self.slots, map(len, rows), "instances and interactions")
        texts = {
            text: None for row in rows for one in row for text in (one.subject.phrase, one.object.phrase, one.action)
        }
        order = {text: index for index, text in enumerate(texts)}
        pooled = (encode or self.text.encode)(list(texts))[1]
        padded = torch.cat([pooled, pooled.new_zeros(1, pooled.shape[1])])
        none = len(order)

        def embeddings(role: Callable[..., str]) -> torch.Tensor:
            index = [[order[role(one)] for one in row] + [none] * (self.slots - len(row)) for row in rows]
            return padded[torch.tensor(index, device=padded.device)]

        def boxes(role: str) -> torch.Tensor:
            empty = (0.0, 0.0, 0.0, 0.0)
            places = [[getattr(one, role).box for one in row] + [empty] * (self.slots - len(row)) for row in rows]
            return torch.tensor(places, device=padded.device, dtype=torch.float32)

        used = [[1.0] * len(row) + [0.0] * (self.slots - len(row)) for row in rows]
        return InteractionConditions(
            subject_boxes=boxes("subject"),
            object_boxes=boxes("object"),
            masks=torch.tensor(used, device=padded.device, dtype=torch.float32),
            subject_embeddings=embeddings(lambda one: one.subject.phrase),
            object_embeddings=embeddings(lambda one: one.object.phrase),
            action_embeddings=embeddings(lambda one: one.action),
        )

    def predict(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        context: torch.Tensor,
        conditions: InteractionConditions,
        fuser_on: bool = True,
    ) -> torch.Tensor:
        """The UNet's prediction: x (B, C, h, w), t () or (B,), context (B, L, D) → (B, C, h, w), float32.

        ``fuser_on=False`` leaves the grounding out, as scheduled sampling does in its later steps.
        """
        dtype = self.unet.dtype
        # The UNet hands all of it to the position net, and what that returns to the fusers.
        own = {"latent": (x.shape[-2], x.shape[-1]), "scale": self.fuser_scale, "box_bias": self.box_bias}
        grounding = {"gligen": {**vars(conditions.to(x.device, dtype)), **own}} if fuser_on else None
        prediction: torch.Tensor = self.unet(
            x.to(dtype), t, context.to(dtype), cross_attention_kwargs=grounding, return_dict=False
        )[0]
        return prediction.float()

    def bind(self, request: SampleRequest) -> GuidedDenoiser:
        """Captions, negative prompt and grounding, encoded once. Raises InputError as :meth:`conditions` does."""
        model = copy.copy(self)
        conditions = self.conditions(request.layouts).for_guidance().to(self.unet.device, self.unet.dtype)
        context = self.text.encode(request.captions())[0].to(self.unet.device)
        last = int(self.fuser_beta * request.num_inference_steps)

        def predict(x: torch.Tensor, t: torch.Tensor, i: int) -> torch.Tensor:
            return model.predict(x, t, context, conditions, fuser_on=i < last)

        return GuidedDenoiser(predict, request.guidance_scale)

    def control_modules(self) -> nn.ModuleList:
        """The position net and the fusers: what the model adds to its base."""
        fusers = [module for module in self.unet.modules() if isinstance(module, GatedGroundingAttention)]
        return nn.ModuleList([self.unet.position_net, *fusers])

    def adds(self, parameter: str) -> bool:
        """The position net and the fusers."""
        return parameter.startswith("position_net.") or ".fuser." in parameter


class InteractDiffusionV12(InteractDiffusion):
    """The same network as its authors published it later (v1.2), trained on Stable Diffusion 1.5's UNet."""

    name = "interactdiffusion-v1.2"


SPEC = ModelSpec(
    InteractDiffusion,
    PublicWeights("interactdiffusion"),
    {"attention_type": "gated"},
    mini=attrgetter("interactdiffusion"),
)
SPEC_V12 = ModelSpec(
    InteractDiffusionV12,
    PublicWeights("interactdiffusion-v1.2", shares_base=False),  # on SD 1.5
    {"attention_type": "gated"},
)


def _replace_fuser(block: Any) -> None:
    """Swap diffusers' fuser for ours of the same sizes and parameter names, with weights of its own."""
    fuser = block.fuser
    heads = fuser.attn.heads
    block.fuser = GatedGroundingAttention(
        fuser.attn.to_q.in_features, fuser.linear.in_features, heads, fuser.attn.to_q.out_features // heads
    )
