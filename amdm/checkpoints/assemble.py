"""The paper's models out of public files: each tensor is read once, and equal base tensors are held once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from amdm.checkpoints.catalogue import file_named
from amdm.checkpoints.convert import CONVERSIONS, require_converted
from amdm.checkpoints.keys.match import require_match
from amdm.checkpoints.weights_folder import is_there, require
from amdm.errors import InputError
from amdm.models import full_size
from amdm.models.control import ControlModel

_FILES_OF_ALL = ("sd14-text-encoder", "sd14-vae")
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def files_of_models(models: Iterable[str]) -> set[str]:
    """Names of the files that are read to load these models."""
    return {*_FILES_OF_ALL, *(name for model in models for name in full_size.public_weights(model).names)}


def half_of(name: str) -> str:
    """The published float16 copy of a file, by name; "" where the catalogue has none."""
    half = f"{name}-fp16"
    return half if half in CONVERSIONS else ""


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
        """Put a model's public weights into its UNet and its towers.

        Raises:
            InputError: a file is absent, altered or torn; a tensor is missing, left over, or of another shape.
        """
        files = full_size.public_weights(model.name)
        others = tuple(name for name in model.unet.state_dict() if model.adds(name)) if files.added else ()
        self._put(model.unet, *self._state(files.unet), others=others, share=files.shares_base)
        if files.added:
            added, path = self._state(files.added)
            _load(lambda: model.load_control_state_dict(added), path)
        for part, name in files.towers.items():
            tower = model.modules()[part]
            setattr(model, part, self._transformers(type(tower), tower.config, *self._state(name)))

    def text_encoder(self) -> CLIPTextModel:
        """SD 1.4's; SD 1.5 has the same."""
        return self._transformers(CLIPTextModel, CLIPTextConfig(**full_size.TEXT), *self._state("sd14-text-encoder"))

    def vae(self, name: str) -> Any:
        """``"sd14-vae"`` or ``"vae-ft-mse"``."""
        state, path = self._state(name)
        vae = full_size.build_vae()
        self._put(vae, {_new_attention(key): value for key, value in state.items()}, path, share=False)
        return vae

    def _state(self, name: str) -> tuple[dict[str, torch.Tensor], Path]:
        """What a file of the catalogue holds, or its conversion where it has one."""
        name = self._in_half(name)
        convertible = name in CONVERSIONS
        path = require_converted(name, self.folder) if convertible else require(file_named(name), self.folder)
        return self._read(path), path

    def _in_half(self, name: str) -> str:
        """The published float16 copy of a file, where networks are float16 and it alone is there; else the file."""
        half = half_of(name)
        if not half or self.dtype != torch.float16 or is_there(file_named(name), self.folder):
            return name
        return half if is_there(file_named(half), self.folder) else name

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
        told = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # else shapes are not among what it tells
        model, found = kind.from_pretrained(None, config=config, state_dict=state, dtype=self.dtype, **told)
        problems = {kind: sorted(map(str, keys)) for kind, keys in found.items() if keys}
        if problems:
            what = "; ".join(f"{kind}: {', '.join(keys[:4])}" for kind, keys in problems.items())
            raise InputError(what, file=path)
        return model.eval().requires_grad_(False)


def _new_attention(key: str) -> str:
    """Older files call the VAE's attention projections query, key, value and proj_attn."""
    parts = key.split(".")
    return ".".join(_OLD_ATTENTION.get(part, part) for part in parts) if "attentions" in parts else key


def _load(action: Any, path: Path) -> None:
    try:
        action()
    except (KeyError, RuntimeError) as error:
        raise InputError(str(error), file=path) from error
