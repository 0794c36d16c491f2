"""The mini models as one set that shares a base: made fresh for training, or loaded from the shipped weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from amdm.errors import InputError
from amdm.io.files import usual_permissions
from amdm.mini.sizes import (
    BOX_BIAS,
    MIGC_HEADS,
    MIGC_LAYERS,
    SLOTS,
    UNET,
    build_image_encoder,
    build_image_processor,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_vae,
)
from amdm.mini.weights_folder import DIGESTS, weight_digests, weights_folder
from amdm.models.control import ControlModel
from amdm.models.interactdiffusion import InteractDiffusion
from amdm.models.ip_adapter import IPAdapter
from amdm.models.migc import MIGC
from amdm.models.shared_base import share_base
from amdm.models.stable_diffusion import StableDiffusion
from amdm.models.text import PhraseEncoder
from amdm.process_state import as_in_a_fresh_process


class MiniModels:
    """Base, InteractDiffusion, MIGC and IP-Adapter on one set of base parameters, one text tower, one autoencoder."""

    def __init__(self, box_bias: float = BOX_BIAS) -> None:
        self.vae: AutoencoderTiny = build_vae()
        self.text = PhraseEncoder(build_text_encoder(), build_tokenizer())
        base = UNet2DConditionModel(**UNET)
        gated = UNet2DConditionModel(**UNET, attention_type="gated")
        plain, styled = UNet2DConditionModel(**UNET), UNet2DConditionModel(**UNET)
        self.base = StableDiffusion(base, self.text, build_scheduler())
        self.interactdiffusion = InteractDiffusion(gated, self.text, build_scheduler(), slots=SLOTS, box_bias=box_bias)
        self.migc = MIGC(plain, self.text, build_scheduler(), layers=MIGC_LAYERS, heads=MIGC_HEADS)
        images = build_image_encoder(), build_image_processor()
        self.ip_adapter = IPAdapter(styled, self.text, build_scheduler(), *images, scale=1.0)
        self.saved_bytes = 0
        for unet in (gated, plain, styled):
            unet.load_state_dict(base.state_dict(), strict=False)
            self.saved_bytes += share_base(base, unet)

    @classmethod
    def fresh(cls, box_bias: float = BOX_BIAS) -> MiniModels:
        """Untrained, with the gates of the fusers ajar: closed gates pass no gradient to what lies behind them."""
        models = cls(box_bias)
        for name, parameter in models.interactdiffusion.unet.named_parameters():
            if name.endswith(("alpha_attn", "alpha_dense")):
                nn.init.constant_(parameter, 0.5)
        return models

    @classmethod
    @as_in_a_fresh_process()
    def load(cls, folder: Path | None = None) -> MiniModels:
        """The weights of ``folder``, each file checked against its recorded SHA-256.

        Args:
            folder: None takes :func:`amdm.mini.weights_folder.weights_folder`, by default the shipped ones.

        Raises:
            InputError: a file is absent, altered, or does not fit the architecture.
        """
        folder = folder or weights_folder()
        models = cls()
        for name, digest in weight_digests(folder).items():
            path = folder / f"{name}.safetensors"
            if not path.exists():
                raise InputError("is absent", file=path)
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                raise InputError("is not the file whose SHA-256 was recorded", file=path, field=name)
            models._put(name, _read(path), path)
        return models.eval()

    def save(self, folder: Path) -> None:
        """Write every part as fp16 safetensors, and the digests beside them."""
        folder.mkdir(parents=True, exist_ok=True)
        digests = {}
        for name, state in self._parts().items():
            path = folder / f"{name}.safetensors"
            halves = {key: value.detach().half().cpu().contiguous().clone() for key, value in state.items()}
            with usual_permissions(path):
                save_file(halves, path)
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / DIGESTS).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")

    def parameters(self) -> list[nn.Parameter]:
        """All that diffusion training moves: base, text tower and controls, each once; not what reads pictures."""
        modules = (self.text.text_encoder, *(model.unet for model in (self.base, *self.controls)))
        return list({id(p): p for module in modules for p in module.parameters()}.values())

    def to(self, device: torch.device) -> MiniModels:
        """Move everything; sharing survives."""
        self.vae.to(device)
        self.text.text_encoder.to(device)
        self.ip_adapter.image_encoder.to(device)
        for model in (self.base, *self.controls):
            model.unet.to(device, memory_format=torch.channels_last)
        return self

    def eval(self) -> MiniModels:
        """For sampling: no dropout, no gradients, channels last."""
        self.vae.eval().requires_grad_(False)
        self.text.text_encoder.eval().requires_grad_(False)
        self.ip_adapter.image_encoder.eval().requires_grad_(False)
        for model in (self.base, *self.controls):
            model.unet.eval().requires_grad_(False)
        return self.to(torch.device("cpu"))

    @property
    def controls(self) -> tuple[ControlModel, ...]:
        """The models that add something to the base, each a weight file of its own."""
        return self.interactdiffusion, self.migc, self.ip_adapter

    def _parts(self) -> dict[str, dict[str, torch.Tensor]]:
        return {
            "vae": self.vae.state_dict(),
            "text_encoder": self.text.text_encoder.state_dict(),
            "unet": self.base.unet.state_dict(),
            "image_encoder": self.ip_adapter.image_encoder.state_dict(),
            **{model.name: model.control_state_dict() for model in self.controls},
        }

    def _put(self, name: str, state: dict[str, torch.Tensor], path: Path) -> None:
        try:
            if control := {model.name: model for model in self.controls}.get(name):
                control.load_control_state_dict(state)
            else:
                modules: dict[str, nn.Module] = {
                    "vae": self.vae,
                    "text_encoder": self.text.text_encoder,
                    "unet": self.base.unet,
                    "image_encoder": self.ip_adapter.image_encoder,
                }
                modules[name].load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise InputError(str(error), file=path) from error


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return {key: value.float() for key, value in load_file(path).items()}
    except SafetensorError as error:
        raise InputError("cannot be read as safetensors", file=path) from error
