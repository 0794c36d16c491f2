"""Models of a profile with their weights: the shipped mini ones, or the public checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from amdm.errors import InputError
from amdm.models.control import ControlModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Loading:
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
    ) -> Loading:
        """From options: ``auto`` takes CUDA where there is a device; float16 for full size there, else float32."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = require_device(device).type
        if dtype == "auto":
            dtype = "float16" if kind == "cuda" and profile != "mini" else "float32"
        if dtype not in DTYPES:
            raise InputError(f"{dtype!r} is none of {', '.join(DTYPES)}", field="dtype")
        return cls(weights_dir, device, DTYPES[dtype], random_weights)


def require_device(device: str | torch.device) -> torch.device:
    """The device. Raises InputError for what is neither CPU nor CUDA, and for a CUDA device that is not there."""
    try:
        found = torch.device(device)
    except RuntimeError:
        raise InputError(f"{device!r} is no device of torch", field="device") from None
    if found.type not in ("cpu", "cuda"):
        raise InputError(f"{str(device)!r} is neither cpu nor cuda", field="device")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{str(device)!r} was asked for, and there is no CUDA device", field="device")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise InputError(f"{str(device)!r} was asked for, and there are {torch.cuda.device_count()}", field="device")
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
        """(C, h, w) of a picture's latents."""
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

    def decode(self, latents: torch.Tensor, model: str) -> torch.Tensor:
        """Latents (B, C, h, w) of a model → pictures (B, 3, H, W) in [−1, 1], one at a time: memory for one."""
        vae = self.vaes.get(model, self.vaes[""])
        scaled = (latents * self.vae_factor).to(vae.dtype)
        return torch.cat([vae.decode(one).sample.float() for one in scaled.split(DECODED_TOGETHER)])


DECODED_TOGETHER = 16
"""Mini pictures; a full-size autoencoder slices a batch by itself."""


def load_models(profile: str, names: Sequence[str], loading: Loading) -> ModelSet:
    """The named models of a profile. Raises InputError for what is unknown, absent or not as recorded."""
    if profile == "mini":
        return _mini(names, loading)
    if loading.random_weights:
        return _random(names, loading)
    return _checkpoints(names, loading)


def fresh_models(profile: str, names: Sequence[str]) -> ModelSet:
    """The architectures of a profile's models, to be filled. Raises InputError for an unknown profile or model."""
    if profile == "mini":
        from amdm.mini.models import MiniModels

        return _mini_set(MiniModels().eval(), names)
    if profile == "paper":
        return _full_size(names)
    raise InputError(f"there is no profile {profile!r} to build", field="profile")


def weight_digests(profile: str) -> dict[str, str]:
    """Recorded SHA-256 of every weight file of a profile that is there, conversions too."""
    if profile == "mini":
        from amdm.mini.models import weight_digests as mini_digests

        return mini_digests()
    from amdm.checkpoints.catalogue import files_of
    from amdm.checkpoints.converted import PARTS, converted_place, require_converted
    from amdm.checkpoints.store import read_lock, require, weights_dir

    folder, places = weights_dir(), []
    for one in files_of(profile):
        if (folder / one.place).exists():
            require(one, folder)
            places.append(str(one.place))
        if one.name in PARTS and (folder / converted_place(one.name)).exists():
            require_converted(one.name, folder)
            places.append(converted_place(one.name))
    lock = read_lock(folder)
    return {place: lock[place].sha256 for place in places}


def hashed_weights(profile: str) -> dict[str, str]:
    """SHA-256 of the same files as they lie there now, whatever was recorded of them."""
    from amdm.checkpoints.store import read_lock, weights_dir
    from amdm.files import sha256

    if profile == "mini":
        from amdm.mini.models import WEIGHTS
        from amdm.mini.models import weight_digests as mini_digests

        paths = {name: WEIGHTS / f"{name}.safetensors" for name in mini_digests()}
    else:
        paths = {place: weights_dir() / place for place in read_lock(weights_dir())}
    return {name: sha256(path) for name, path in paths.items() if path.is_file()}


def paper_profile_available() -> tuple[bool, str]:
    """Whether the paper's profile can run here, and why not."""
    if not torch.cuda.is_available():
        return False, "there is no CUDA device"
    from amdm.checkpoints.catalogue import files_of
    from amdm.checkpoints.store import is_there, weights_dir

    absent = [one.name for one in files_of("paper") if not is_there(one, weights_dir())]
    if absent:
        return False, f"{len(absent)} checkpoints are absent ({absent[0]}, …): amdm weights fetch --profile paper"
    return True, "a CUDA device and the checkpoints are present"


def _mini(names: Sequence[str], loading: Loading) -> ModelSet:
    from amdm.mini.models import MiniModels

    if loading.random_weights:
        raise InputError("is for the profile paper; the mini models have weights", field="random_weights")
    if loading.dtype != torch.float32:
        raise InputError("the mini models run in float32", field="dtype")
    return _mini_set(MiniModels.load().to(torch.device(loading.device)), names)


def _checkpoints(names: Sequence[str], loading: Loading) -> ModelSet:
    from amdm.checkpoints.assemble import Assembly
    from amdm.checkpoints.store import weights_dir

    models = _full_size(names, share=False)
    parts = Assembly(weights_dir(loading.weights_dir), loading.dtype)
    text_encoder = parts.text_encoder()
    for model in models.models.values():
        parts.fill(model)
        model.text.text_encoder = text_encoder
    models.vaes = {"": parts.vae("sd14-vae")}
    if "ip-adapter" in models.models:
        models.vaes["ip-adapter"] = parts.vae("vae-ft-mse")
    models.saved_bytes = parts.saved_bytes
    for module in models.modules().values():
        module.to(loading.device)
    return models


def _random(names: Sequence[str], loading: Loading) -> ModelSet:
    from amdm.models.full_size import fill_randomly

    models = _full_size(names)
    fill_randomly(list(models.modules().values()), dtype=loading.dtype)
    parameters = [p for model in models.models.values() for p in model.unet.parameters()]
    held = {id(p): p for p in parameters}.values()
    models.saved_bytes = sum(p.nbytes for p in parameters) - sum(p.nbytes for p in held)
    for module in models.modules().values():
        module.to(loading.device)
    return models


def _full_size(names: Sequence[str], share: bool = True) -> ModelSet:
    """The paper's models on the meta device."""
    from amdm.models.full_size import LATENT_CHANNELS, LATENT_SCALE, SCALING_FACTOR, build_models, build_vae

    return ModelSet(build_models(names, share), {"": build_vae()}, 1 / SCALING_FACTOR, LATENT_CHANNELS, LATENT_SCALE)


def _mini_set(mini: Any, names: Sequence[str]) -> ModelSet:
    from amdm.mini.build import LATENT_CHANNELS, LATENT_SCALE

    known: dict[str, ControlModel] = {one.name: one for one in (mini.base, mini.interactdiffusion, mini.migc)}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"there is no mini model {unknown[0]!r}; there are: {', '.join(known)}", field="models")
    chosen = {name: known[name] for name in names} if names else known
    return ModelSet(chosen, {"": mini.vae}, 1.0, LATENT_CHANNELS, LATENT_SCALE, mini.saved_bytes)
