"""The models of a run, and how they are held: device, precision, decoding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from amdm.errors import InputError, unknown
from amdm.models.control import ControlModel
from amdm.process_state import undisturbed

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DECODE_BATCH_SIZE = 16
"""Mini pictures; full-size autoencoders are told to slice a batch (:func:`amdm.models.full_size.build_vae`)."""


@dataclass(frozen=True)
class LoadOptions:
    """Where and how models are held.

    weights_dir: of the public checkpoints; None takes the usual place. device, dtype: of the networks (latents are
    float32 whatever these are). random_weights: full-size architectures without checkpoints; what they draw is noise.
    """

    weights_dir: Path | None = None
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    random_weights: bool = False

    @classmethod
    def parse(
        cls,
        profile: str,
        weights_dir: Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        random_weights: bool = False,
    ) -> LoadOptions:
        """From options: ``auto`` takes CUDA where there is a device; float16 for full size there, else float32."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = require_device(device).type
        if dtype == "auto":
            dtype = "float16" if kind == "cuda" and profile != "mini" else "float32"
        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES, field="dtype")
        return cls(weights_dir, device, DTYPES[dtype], random_weights)


def require_device(device: str | torch.device) -> torch.device:
    """The device. Raises InputError for what is neither CPU nor CUDA, and for a CUDA device that is not there."""
    try:
        found = torch.device(device)
    except RuntimeError:
        raise InputError(f"{device!r} is not a device of torch; write cpu, cuda or cuda:1", field="device") from None
    if found.type not in ("cpu", "cuda"):
        raise InputError(f"{str(device)!r} is neither cpu nor cuda", field="device")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{str(device)!r} was asked for, and there is no CUDA device", field="device")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise InputError(f"{str(device)!r} was asked for, and there are {torch.cuda.device_count()}", field="device")
    return found


def require_dtype(dtype: Any, other: Any = None) -> torch.dtype | None:
    """The one that is given of two names of one argument. Raises InputError for what networks cannot be held in."""
    if dtype is not None and other is not None and dtype != other:
        raise InputError(f"is {dtype}, and torch_dtype {other}: give one of them", field="dtype")
    found = other if dtype is None else dtype
    if found is not None and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise InputError(f"is {str(found)[:80]!r}; it must be a floating type of torch: torch.float16", field="dtype")
    return found


@dataclass
class ModelSet:
    """Models by name, and the autoencoders that turn their latents into pictures.

    vaes: by model name; "" is that of every model that has none of its own. vae_factor: latents · vae_factor is what
    they decode. latent_channels, latent_scale: the latents of H×W pixels have H/latent_scale rows.
    saved_bytes: what sharing one base saved.
    """

    models: dict[str, ControlModel]
    vaes: dict[str, Any]
    vae_factor: float
    latent_channels: int
    latent_scale: int
    saved_bytes: int = 0

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(C, h, w) of a picture's latents. Raises InputError for a size that none have."""
        for name, side in (("height", height), ("width", width)):
            if side % self.latent_scale:
                raise InputError(f"is {side}; it must be a multiple of {self.latent_scale}", field=name)
        return self.latent_channels, height // self.latent_scale, width // self.latent_scale

    @property
    def device(self) -> torch.device:
        """Of the UNets."""
        return next(iter(self.models.values())).unet.device

    def modules(self) -> dict[str, nn.Module]:
        """Every network by name; the same one may stand under several names."""
        own = {
            f"{model.name}.{part}": module for model in self.models.values() for part, module in model.modules().items()
        }
        return {**{f"vae.{name}" if name else "vae": vae for name, vae in self.vaes.items()}, **own}

    def release(self, *parts: str) -> None:
        """Give back the memory of networks that will not run again: "text_encoder", "image_encoder", "unet", "vae"."""
        for name, module in self.modules().items():
            if name.rpartition(".")[2] in parts:
                module.to("meta")

    def forget_texts(self) -> None:
        """After a move: what was encoded lies elsewhere, or was encoded in another dtype."""
        for model in self.models.values():
            model.text.forget()

    @undisturbed()
    def decode(self, latents: torch.Tensor, model: str) -> torch.Tensor:
        """Latents (B, C, h, w) of a model → pictures (B, 3, H, W) in [−1, 1], one at a time: memory for one."""
        vae = self.vaes.get(model, self.vaes[""])
        scaled = (latents * self.vae_factor).to(vae.dtype)
        return torch.cat([vae.decode(one).sample.float() for one in scaled.split(DECODE_BATCH_SIZE)])
