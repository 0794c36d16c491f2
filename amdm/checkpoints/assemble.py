"""The paper's models out of public files: each tensor is read once, and equal base tensors are held once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from amdm.checkpoints.catalogue import file_named
from amdm.checkpoints.converted import require_converted
from amdm.checkpoints.matching import require_match
from amdm.checkpoints.store import require
from amdm.errors import InputError
from amdm.models import full_size
from amdm.models.control import ControlModel

_FILES_OF_ALL = ("sd14-text-encoder", "sd14-vae")
_FILES_OF = {
    "interactdiffusion": ("interactdiffusion",),
    "migc": ("sd14-unet", "migc"),
    "stable_diffusion": ("sd14-unet",),
    "gligen": ("gligen-unet",),
    "ip-adapter": ("sd15-unet", "ip-adapter", "ip-adapter-image-encoder", "vae-ft-mse"),
}
"""What is read for each model; files of the catalogue by name."""

_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def files_of_models(models: Iterable[str]) -> set[str]:
    """Names of the files that are read to load these models."""
    return {*_FILES_OF_ALL, *(name for model in models for name in _FILES_OF[model])}


class Assembly:
    """Fills networks on the meta device; remembers base tensors, so that equal ones are held once.

    Args:
        folder: of the weights. dtype: of everything that is read.

    Attributes:
        saved_bytes: what sharing saved.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self.folder, self.dtype = folder, dtype
        self.saved_bytes = 0
        self._bases: list[dict[str, nn.Parameter]] = []

    def fill(self, model: ControlModel) -> None:
        """Put a model's public weights into its UNet (and image tower).

        Raises:
            InputError: a file is absent, altered or torn; a tensor is missing, left over, or of another shape.
        """
        name = model.name
        if name == "interactdiffusion":
            self._put(model.unet, *self._converted("interactdiffusion"))
        elif name == "gligen":
            self._put(model.unet, *self._public("gligen-unet"))
        elif name == "ip-adapter":
            adapter, path = self._public("ip-adapter")
            self._put(model.unet, *self._public("sd15-unet"), others=_rest(model), share=False)
            _load(lambda: model.load_control_state_dict(adapter), path)  # type: ignore[attr-defined]
            model.image_encoder = self.image_encoder()  # type: ignore[attr-defined]
        else:
            self._put(model.unet, *self._public("sd14-unet"), others=_rest(model) if name == "migc" else ())
            if name == "migc":
                own, path = self._converted("migc")
                _load(lambda: model.unet.load_state_dict(own, strict=False, assign=True), path)

    def text_encoder(self) -> CLIPTextModel:
        """SD 1.4's; SD 1.5 has the same."""
        state, path = self._public("sd14-text-encoder")
        return self._transformers(CLIPTextModel, CLIPTextConfig(**full_size.TEXT), state, path)

    def image_encoder(self) -> CLIPVisionModelWithProjection:
        """IP-Adapter's CLIP ViT-H/14."""
        state, path = self._public("ip-adapter-image-encoder")
        return self._transformers(CLIPVisionModelWithProjection, CLIPVisionConfig(**full_size.IMAGE), state, path)

    def vae(self, name: str) -> Any:
        """``"sd14-vae"`` or ``"vae-ft-mse"``."""
        state, path = self._public(name)
        vae = full_size.build_vae()
        self._put(vae, {_new_attention(key): value for key, value in state.items()}, path, share=False)
        return vae

    def _public(self, name: str) -> tuple[dict[str, torch.Tensor], Path]:
        path = require(file_named(name), self.folder)
        return self._read(path), path

    def _converted(self, name: str) -> tuple[dict[str, torch.Tensor], Path]:
        path = require_converted(name, self.folder)
        return self._read(path), path

    def _read(self, path: Path) -> dict[str, torch.Tensor]:
        try:
            state = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError("cannot be read as safetensors", file=path) from error
        return {key: value.to(self.dtype) if value.is_floating_point() else value for key, value in state.items()}

    def _put(
        self,
        module: nn.Module,
        state: Mapping[str, torch.Tensor],
        path: Path,
        others: tuple[str, ...] = (),
        share: bool = True,
    ) -> None:
        """Assign a whole state dict (but for ``others``); a base tensor equal to one that is held becomes that one."""
        expected = {name: tuple(p.shape) for name, p in module.state_dict().items() if name not in others}
        require_match(expected, state, file=path)
        held: dict[str, nn.Parameter] = {}
        for name, value in state.items():
            twin = self._twin(name, value) if share else None
            parameter = nn.Parameter(value, requires_grad=False) if twin is None else twin
            if twin is not None:
                self.saved_bytes += value.numel() * value.element_size()
            place, _, leaf = name.rpartition(".")
            module.get_submodule(place)._parameters[leaf] = held[name] = parameter
        if share:
            base = full_size.base_names()
            self._bases.append({name: parameter for name, parameter in held.items() if name in base})

    def _twin(self, name: str, value: torch.Tensor) -> nn.Parameter | None:
        for base in self._bases:
            known = base.get(name)
            if known is not None and known.shape == value.shape and torch.equal(known, value):
                return known
        return None

    def _transformers(self, kind: Any, config: Any, state: dict[str, torch.Tensor], path: Path) -> Any:
        """Through transformers' own loader, which knows older names; strict."""
        state = {key: value for key, value in state.items() if not key.endswith("position_ids")}  # a constant
        model, found = kind.from_pretrained(
            None, config=config, state_dict=state, output_loading_info=True, dtype=self.dtype
        )
        problems = {kind: sorted(map(str, keys)) for kind, keys in found.items() if keys}
        if problems:
            what = "; ".join(f"{kind}: {', '.join(keys[:4])}" for kind, keys in problems.items())
            raise InputError(what, file=path)
        return model.eval().requires_grad_(False)


def _rest(model: ControlModel) -> tuple[str, ...]:
    """Names of what a model adds to its base."""
    base = full_size.base_names()
    return tuple(name for name in model.unet.state_dict() if name not in base)


def _new_attention(key: str) -> str:
    """Older files call the VAE's attention projections query, key, value and proj_attn."""
    parts = key.split(".")
    return ".".join(_OLD_ATTENTION.get(part, part) for part in parts) if "attentions" in parts else key


def _load(action: Any, path: Path) -> None:
    try:
        action()
    except (KeyError, RuntimeError) as error:
        raise InputError(str(error), file=path) from error
