"""IP-Adapter (Ye et al., 2023): cross attention to a style image beside that to the caption."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextvars import ContextVar
from operator import attrgetter
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import ImageProjection, MultiIPAdapterImageProjection
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from PIL import Image
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from amdm.errors import InputError
from amdm.io.picture import to_pixels
from amdm.models.control import ControlModel, GuidedDenoiser, SampleRequest
from amdm.models.spec import ModelSpec, PublicWeights
from amdm.models.text import PhraseEncoder
from amdm.process_state import undisturbed

IMAGE_TOKENS = 4
"""Of `ip-adapter_sd15.safetensors`."""

IMAGE: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "projection_dim": 1024,
    "hidden_act": "gelu",
}
"""CLIP ViT-H/14's image tower."""

_SCALE: ContextVar[float] = ContextVar("_SCALE", default=1.0)
"""Of the call that is under way in this thread."""


class ImageAttnProcessor(IPAdapterAttnProcessor2_0):
    """diffusers' processor, with the scale of the call in place of one that all calls share."""

    @property
    def scale(self) -> list[float]:
        """One for each adapter: there is one."""
        return [_SCALE.get()]

    @scale.setter
    def scale(self, value: list[float]) -> None:
        if value != [1.0]:  # which the constructor of diffusers sets
            raise InputError("is the model's: set scale of the IPAdapter", field="scale")


class IPAdapter(ControlModel):
    """A Stable Diffusion UNet that also attends to four tokens of a style image; it does not read boxes.

    Built of diffusers' own parts, on a UNet of its own: the public adapter belongs to SD 1.5.

    Args:
        image_encoder: CLIP's image tower with projection. image_processor: how it wants its pictures.
        scale: weight of the attention to the image.
    """

    name = "ip-adapter"
    reads = frozenset({"caption", "style"})

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text: PhraseEncoder,
        scheduler: SchedulerMixin,
        image_encoder: CLIPVisionModelWithProjection,
        image_processor: CLIPImageProcessor,
        *,
        scale: float = 0.8,
    ) -> None:
        super().__init__(unet, text, scheduler)
        self.image_encoder, self.image_processor, self.scale = image_encoder, image_processor, scale
        width = int(unet.config["cross_attention_dim"])
        own = {}
        for path, processor in unet.attn_processors.items():
            attention = unet.get_submodule(path.removesuffix(".processor"))
            cross = path.endswith("attn2.processor")
            channels = attention.to_q.in_features
            own[path] = ImageAttnProcessor(channels, width, (IMAGE_TOKENS,)) if cross else processor
        unet.set_attn_processor(own)
        projection = ImageProjection(int(image_encoder.config.projection_dim), width, IMAGE_TOKENS)
        unet.encoder_hid_proj = MultiIPAdapterImageProjection([projection])
        unet.config.encoder_hid_dim_type = "ip_image_proj"

    def modules(self) -> dict[str, nn.Module]:
        """With the image tower."""
        return {**super().modules(), "image_encoder": self.image_encoder}

    def image_embeddings(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Pictures, as :func:`amdm.io.picture.to_pixels` takes them, → CLIP image embeddings (B, D).

        A picture that comes twice is encoded once.

        Raises:
            InputError: one of them is no picture.
        """
        distinct = list({id(image): image for image in images}.values())
        pictures = [_style(one) for one in distinct]
        pixels = self.image_processor(pictures, return_tensors="pt").pixel_values
        encoder = self.image_encoder
        with torch.no_grad(), undisturbed():
            found = encoder(pixels.to(encoder.device, encoder.dtype)).image_embeds
        row = {id(image): embedding for image, embedding in zip(distinct, found, strict=True)}
        return torch.stack([row[id(image)] for image in images])

    def predict(self, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """The UNet's prediction, float32: x (B, C, h, w), t () or (B,), context (B, L, D), images (B, 1, E)."""
        dtype = self.unet.dtype
        added = {"image_embeds": [images.to(dtype)]}
        token = _SCALE.set(self.scale)
        try:
            found = self.unet(x.to(dtype), t, context.to(dtype), added_cond_kwargs=added, return_dict=False)[0]
        finally:
            _SCALE.reset(token)
        return found.float()

    def bind(self, request: SampleRequest) -> GuidedDenoiser:
        """Captions and style images, encoded once; the unconditional half reads the projected zero embedding.

        Raises:
            InputError: the request has not one style image for each layout.
        """
        attending = [name for name in self.unet.attn_processors if name.endswith("attn2.processor")]
        if any(not isinstance(self.unet.attn_processors[name], IPAdapterAttnProcessor2_0) for name in attending):
            raise InputError(f"{self.name}'s attention processors were replaced; load the model again", field="unet")
        if request.styles is None or len(request.styles) != len(request.layouts):
            raise InputError(f"{self.name} needs a style image for each layout", field="style")
        model = copy.copy(self)
        context = self.text.encode(request.captions())[0].to(self.unet.device)
        cond = self.image_embeddings(request.styles).to(self.unet.device)
        images = torch.cat([torch.zeros_like(cond), cond]).unsqueeze(1)

        def predict(x: torch.Tensor, t: torch.Tensor, i: int) -> torch.Tensor:
            return model.predict(x, t, context, images)

        return GuidedDenoiser(predict, request.guidance_scale)

    def adds(self, parameter: str) -> bool:
        """The projection of the image and its keys and values in each cross attention."""
        return parameter.startswith("encoder_hid_proj.") or ".to_k_ip." in parameter or ".to_v_ip." in parameter

    def control_state_dict(self) -> dict[str, torch.Tensor]:
        """What the adapter adds to its base, under the keys of the public file."""
        return {public: self._tensor(own).data for public, own in self._public_names().items()}

    def load_control_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Put in an adapter under the public keys (`image_proj.proj.weight`, `ip_adapter.1.to_k_ip.weight`, …).

        Raises:
            KeyError: naming keys left over, missing, or of another shape.
        """
        names = self._public_names()
        if unfit := sorted(set(names) ^ set(state)):
            raise KeyError(f"keys missing or left over: {', '.join(unfit[:5])}")
        for public, value in state.items():
            place = self._tensor(names[public])
            if place.shape != value.shape:
                raise KeyError(f"{public} has shape {tuple(value.shape)}; needs {tuple(place.shape)}")
        own = {names[public]: value for public, value in state.items()}
        self.unet.load_state_dict(own, strict=False, assign=any(self._tensor(name).is_meta for name in own))

    def _public_names(self) -> dict[str, str]:
        """Public key → name in the UNet. The file numbers all attentions in diffusers' order."""
        projection = "encoder_hid_proj.image_projection_layers.0"
        names = {}
        for kind in ("weight", "bias"):
            names[f"image_proj.proj.{kind}"] = f"{projection}.image_embeds.{kind}"
            names[f"image_proj.norm.{kind}"] = f"{projection}.norm.{kind}"
        for k, (path, processor) in enumerate(self.unet.attn_processors.items()):
            if isinstance(processor, IPAdapterAttnProcessor2_0):
                for part in ("to_k_ip", "to_v_ip"):
                    names[f"ip_adapter.{k}.{part}.weight"] = f"{path}.{part}.0.weight"
        return names

    def _tensor(self, name: str) -> torch.Tensor:
        return self.unet.get_parameter(name)


def _style(picture: Any) -> Image.Image:
    """As 8-bit RGB, before the tower's own processor guesses what white is."""
    try:
        pixels = to_pixels(picture)
    except InputError as error:
        raise error.within(field="style") from None
    if pixels is None:
        raise InputError("holds NaN or infinity", field="style")
    return Image.fromarray(pixels)


def _full_size(unet: UNet2DConditionModel, text: PhraseEncoder, scheduler: SchedulerMixin) -> IPAdapter:
    tower = CLIPVisionModelWithProjection(CLIPVisionConfig(**IMAGE)).eval().requires_grad_(False)
    return IPAdapter(unet, text, scheduler, tower, CLIPImageProcessor())


SPEC = ModelSpec(
    IPAdapter,
    PublicWeights(
        "sd15-unet",
        added="ip-adapter",
        towers={"image_encoder": "ip-adapter-image-encoder"},
        vae="vae-ft-mse",
        shares_base=False,
    ),
    build=_full_size,
    mini=attrgetter("ip_adapter"),
)
