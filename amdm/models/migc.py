"""MIGC (Zhou et al., 2024): multi-instance generation by dividing cross attention between instances.

Behaviour of the official code (migc/migc_pipeline.py, migc/migc_utils.py), batched.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from operator import attrgetter

import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch.nn.functional import interpolate

from amdm.errors import InputError, InputWarning
from amdm.layout import Layout
from amdm.models.control import ControlModel, GuidedDenoiser, SampleRequest, check_slots
from amdm.models.migc_attention import MIGCAttention
from amdm.models.migc_processor import CALL, AttentionMode, MIGCConditions, MIGCProcessor, MIGCState
from amdm.models.spec import ModelSpec, PublicWeights
from amdm.models.text import Encode, PhraseEncoder
from amdm.noise import permutation

PUBLIC_LAYERS: tuple[str, ...] = (
    "mid_block.attentions.0.transformer_blocks.0",
    "up_blocks.1.attentions.0.transformer_blocks.0",
    "up_blocks.1.attentions.1.transformer_blocks.0",
    "up_blocks.1.attentions.2.transformer_blocks.0",
)
"""Where the public checkpoint has MIGC."""

MAX_REPEATS = 7


class MIGC(ControlModel):
    """A Stable Diffusion UNet whose cross attention is divided between instances.

    Args:
        layers: transformer blocks whose cross attention has MIGC. slots: instances a picture at most.
        migc_steps: MIGC works in the steps i ≤ migc_steps. naive_fuser_steps: after it, the naive fuser while i ≤ this.
        and_augmentation: encode each phrase repeated n times joined by ", and ", as MIGC's own benchmark script does.
        heads: of MIGC's attentions.
    """

    name = "migc"
    reads = frozenset({"caption", "instances"})

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text: PhraseEncoder,
        scheduler: SchedulerMixin,
        *,
        layers: Sequence[str] = PUBLIC_LAYERS,
        slots: int = 28,
        migc_steps: int = 20,
        naive_fuser_steps: int = -1,
        and_augmentation: bool = False,
        heads: int = 8,
    ) -> None:
        super().__init__(unet, text, scheduler)
        self.slots, self.layers = slots, tuple(layers)
        self.migc_steps, self.naive_fuser_steps = migc_steps, naive_fuser_steps
        self.and_augmentation = and_augmentation
        width = int(unet.config["cross_attention_dim"])
        blocks = {path: one for path, one in unet.named_modules() if getattr(one, "attn2", None) is not None}
        if absent := sorted(set(self.layers) - set(blocks)):
            raise InputError(f"the UNet has no cross attention at {', '.join(absent)}", field="layers")
        for path, block in blocks.items():
            channels = block.attn2.to_q.in_features
            module = MIGCAttention(channels, width, slots, heads) if path in self.layers else None
            block.attn2.set_processor(MIGCProcessor(MIGCState(), path, module))

    def conditions(
        self,
        layouts: Sequence[Layout],
        size: tuple[int, int],
        latent_size: tuple[int, int],
        encode: Encode | None = None,
    ) -> MIGCConditions:
        """Embeddings, boxes and masks of the layouts' instances.

        Args:
            size: height and width in pixels. latent_size: of the latents.
            encode: texts → (hidden, pooled); the model's phrase encoder by default, another one in training.

        Raises:
            InputError: a layout without instances, or with more than the model's slots.
        """
        self._check(layouts)
        most = max(len(layout.placed()) for layout in layouts)
        # A padded instance reads an existing text; its mask is empty, so what it reads has no effect.
        texts = [[layout.caption, *self._phrases(layout)] for layout in layouts]
        texts = [row + row[-1:] * (1 + most - len(row)) for row in texts]
        order = {text: index for index, text in enumerate(dict.fromkeys(text for row in texts for text in row))}
        hidden, pooled = (encode or self.text.encode)(list(order))
        index = torch.tensor([[order[text] for text in row] for row in texts], device=hidden.device)
        empty = (0.0, 0.0, 0.0, 0.0)
        boxes = [[one.box for one in layout.placed()] + [empty] * (most - len(layout.placed())) for layout in layouts]
        counts = torch.tensor([len(layout.placed()) for layout in layouts], device=hidden.device)
        return MIGCConditions(
            contexts=hidden[index],
            pooled=pooled[index[:, 1:]],
            boxes=torch.tensor(boxes, device=hidden.device, dtype=torch.float32),
            valid=torch.arange(most, device=hidden.device) < counts.unsqueeze(1),
            masks=instance_masks(boxes, size, latent_size).to(hidden.device),
        )

    def predict(
        self, x: torch.Tensor, t: torch.Tensor, conditions: MIGCConditions, permutations: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """What the UNet says with MIGC on, in float32, for B conditional rows: x (B, C, h, w), t () or (B,)."""
        return self._call(
            x, t, conditions.contexts[:, 0], MIGCState(conditions, AttentionMode.MIGC, None, permutations)
        )

    def bind(self, request: SampleRequest) -> GuidedDenoiser:
        """Texts are encoded here, masks drawn when the first latents tell their size; raises InputError at once."""
        self._check(request.layouts)
        self._check_processors()
        model = copy.copy(self)
        uncond = self.text.encode(request.negative_prompts)[0].to(self.unet.device)
        encoded = self._encoded(request.layouts)  # now: the encoder may be gone when the first step asks
        size = (request.height, request.width)
        bound: dict[tuple[int, int], MIGCConditions] = {}

        def predict(x: torch.Tensor, t: torch.Tensor, i: int) -> torch.Tensor:
            latent = (x.shape[-2], x.shape[-1])
            if latent not in bound:
                bound[latent] = model.conditions(request.layouts, size, latent, encoded).to(x.device)
                _warn_of_unseen(request.layouts, bound[latent].masks)
            conditions = bound[latent]
            permutations = {}
            if i <= model.migc_steps:
                permutations = {
                    layer: torch.stack([model.permutation(key, i, layer) for key in request.keys])
                    for layer in model.layers
                }
            context = torch.cat([uncond, conditions.contexts[:, 0]])
            state = MIGCState(conditions, model.branch(i), uncond, permutations)
            return model._call(x, t, context, state)

        return GuidedDenoiser(predict, request.guidance_scale)

    def permutation(self, key: str, i: int, layer: str) -> torch.Tensor:
        """The order of the controller's slots for one sample, step and layer, (slots,)."""
        return permutation(key, self.slots, "migc", i, layer)

    def branch(self, i: int) -> AttentionMode:
        """What the layers do in step i: MIGC, then the naive fuser, then the caption alone."""
        naive = i <= self.naive_fuser_steps
        if i <= self.migc_steps:
            return AttentionMode.MIGC_AND_NAIVE if naive else AttentionMode.MIGC
        return AttentionMode.NAIVE if naive else AttentionMode.VANILLA

    def adds(self, parameter: str) -> bool:
        """MIGC's attentions in the processors."""
        return ".processor.migc." in parameter

    def _call(self, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor, state: MIGCState) -> torch.Tensor:
        dtype = self.unet.dtype
        token = CALL.set(state)
        try:
            return self.unet(x.to(dtype), t, context.to(dtype), return_dict=False)[0].float()
        finally:
            CALL.reset(token)

    def _encoded(self, layouts: Sequence[Layout]) -> Encode:
        """What the phrase encoder makes of all texts of these layouts, without it."""
        texts = list(dict.fromkeys(text for one in layouts for text in (one.caption, *self._phrases(one))))
        hidden, pooled = self.text.encode(texts)
        place = {text: k for k, text in enumerate(texts)}

        def encode(wanted: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
            rows = [place[text] for text in wanted]
            return hidden[rows], pooled[rows]

        return encode

    def _check_processors(self) -> None:
        """MIGC is in the UNet's attention processors, which `set_attn_processor` and others of diffusers replace."""
        for path, block in self.unet.named_modules():
            if getattr(block, "attn2", None) is not None and not isinstance(block.attn2.processor, MIGCProcessor):
                what = f"{self.name}'s attention processor at {path} was replaced; load the model again"
                raise InputError(f"{what}, or put the processor back", field="unet")

    def _check(self, layouts: Sequence[Layout]) -> None:
        # The official code falls back to the caption alone; a model that ignores its conditions is not measured here.
        check_slots(self.name, self.slots, (len(layout.placed()) for layout in layouts))

    def _phrases(self, layout: Layout) -> list[str]:
        phrases = [one.phrase for one in layout.placed()]
        if self.and_augmentation:
            repeats = min(len(phrases), MAX_REPEATS)
            return [", and ".join([phrase] * repeats) for phrase in phrases]
        return phrases


def _warn_of_unseen(layouts: Sequence[Layout], masks: torch.Tensor) -> None:
    """Say which boxes are so small that no cell of the latents is in them: what is in such a box has no effect."""
    seen = masks[:, 1:].amax((2, 3)).gt(0).tolist()
    for k, layout in enumerate(layouts):
        lost = [one.phrase for one, reached in zip(layout.placed(), seen[k], strict=False) if not reached]
        if lost:
            what = f"covers no cell of the latents, {masks.shape[-2]}×{masks.shape[-1]}; MIGC draws nothing there"
            warnings.warn(f"layouts[{k}]: the box of {', '.join(map(repr, lost))} {what}", InputWarning, stacklevel=2)


def instance_masks(
    boxes: Sequence[Sequence[Sequence[float]]], size: tuple[int, int], latent_size: tuple[int, int]
) -> torch.Tensor:
    """Background and instance masks (B, 1+n, h, w) at latent size from xyxy boxes in [0, 1].

    Drawn at pixel size with int() corners, background = 1 − union, then reduced bilinearly without antialiasing.
    """
    height, width = size
    masks = torch.zeros(len(boxes), 1 + len(boxes[0]), height, width, dtype=torch.float32, device="cpu")
    for row, places in zip(masks, boxes, strict=True):
        for mask, (x1, y1, x2, y2) in zip(row[1:], places, strict=True):
            mask[int(height * y1) : int(height * y2), int(width * x1) : int(width * x2)] = 1
    masks[:, 0] = 1 - masks[:, 1:].amax(1)
    return interpolate(masks, latent_size, mode="bilinear")


SPEC = ModelSpec(MIGC, PublicWeights("sd14-unet", added="migc"), mini=attrgetter("migc"))
