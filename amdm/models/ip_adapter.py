"""IP-Adapter (Ye et al., 2023): cross attention to a style image beside that to the caption."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import ImageProjection, MultiIPAdapterImageProjection
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from PIL import Image
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from amdm.errors import InputError
from amdm.models.control import ControlModel, Denoiser, SampleRequest, guided
from amdm.models.text import PhraseEncoder

IMAGE_TOKENS = 4
"""Of `ip-adapter_sd15.safetensors`."""


class IPAdapter(ControlModel):
    """A Stable Diffusion UNet that also attends to four tokens of a style image; boxes are not its business.

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
            own[path] = IPAdapterAttnProcessor2_0(channels, width, (IMAGE_TOKENS,)) if cross else processor
        unet.set_attn_processor(own)
        projection = ImageProjection(int(image_encoder.config.projection_dim), width, IMAGE_TOKENS)
        unet.encoder_hid_proj = MultiIPAdapterImageProjection([projection])
        unet.config.encoder_hid_dim_type = "ip_image_proj"

    def modules(self) -> dict[str, nn.Module]:
        """With the image tower."""
        return {**super().modules(), "image_encoder": self.image_encoder}

    def image_embeddings(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """RGB pictures → CLIP image embeddings (B, D); a picture that comes twice is encoded once."""
        distinct = list({id(image): image for image in images}.values())
        pixels = self.image_processor(distinct, return_tensors="pt").pixel_values
        encoder = self.image_encoder
        with torch.no_grad():
            found = encoder(pixels.to(encoder.device, encoder.dtype)).image_embeds
        row = {id(image): embedding for image, embedding in zip(distinct, found, strict=True)}
        return torch.stack([row[id(image)] for image in images])

    def predict(self, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """The UNet's prediction, float32: x (B, C, h, w), t () or (B,), context (B, L, D), images (B, 1, E)."""
        for processor in self._processors():
            processor.scale = [self.scale]
        dtype = self.unet.dtype
        added = {"image_embeds": [images.to(dtype)]}
        found = self.unet(x.to(dtype), t, context.to(dtype), added_cond_kwargs=added, return_dict=False)[0]
        return found.float()

    def bind(self, request: SampleRequest) -> Denoiser:
        """Captions and style images, encoded once; the unconditional half reads the projected zero embedding.

        Raises:
            InputError: the request has not one style image for each layout.
        """
        if request.styles is None or len(request.styles) != len(request.layouts):
            raise InputError(f"{self.name} needs a style image for each layout", field="style")
        texts = [request.negative_prompt] * len(request.layouts) + [layout.caption for layout in request.layouts]
        context = self.text.encode(texts)[0].to(self.unet.device)
        cond = self.image_embeddings(request.styles).to(self.unet.device)
        images = torch.cat([torch.zeros_like(cond), cond]).unsqueeze(1)

        def denoise(x: torch.Tensor, t: float, i: int) -> torch.Tensor:
            timestep = torch.tensor(t, device=x.device)
            return guided(self.predict(torch.cat([x, x]), timestep, context, images), request.guidance_scale)

        return denoise

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

    def _processors(self) -> list[IPAdapterAttnProcessor2_0]:
        return [one for one in self.unet.attn_processors.values() if isinstance(one, IPAdapterAttnProcessor2_0)]

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
