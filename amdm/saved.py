"""A set of models in one folder: settings as JSON, every distinct tensor once as safetensors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from amdm.errors import InputError
from amdm.files import read_json, sha256, write_whole
from amdm.loading import ModelSet

INDEX = "amdm.json"
FORMAT = 1
LARGEST_INDEX = 16 * 2**20
_FILE_NAME = re.compile(r"model[A-Za-z0-9-]{0,40}\.safetensors")


def save_models(models: ModelSet, folder: Path, about: dict[str, Any]) -> None:
    """Write tensors (in files of at most 5 GB), what shares them, and ``about``; ``amdm.json`` comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    owners: dict[int, str] = {}
    tensors: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    for name, tensor in _named_tensors(models):
        owner = owners.setdefault(id(tensor), name)
        if owner == name:
            tensors[name] = tensor.detach().cpu().contiguous().clone()
        else:
            aliases[name] = owner
    (folder / INDEX).unlink(missing_ok=True)  # a folder without it is not a saved pipeline
    save_torch_state_dict(tensors, folder, max_shard_size="5GB")
    files = {path.name: sha256(path) for path in sorted(folder.glob("model*.safetensors"))}
    content = {"format": FORMAT, **about, "files": files, "aliases": aliases}
    write_whole(folder / INDEX, f"{json.dumps(content, indent=1)}\n".encode())


def read_index(folder: Path) -> dict[str, Any]:
    """What ``amdm.json`` of a saved folder says.

    Raises:
        InputError: the folder is no saved pipeline, or its index lacks a field.
    """
    path = folder / INDEX
    content = read_json(path, LARGEST_INDEX)
    kinds = {"format": int, "profile": str, "preset": str, "settings": dict, "files": dict, "aliases": dict}
    for name, kind in kinds.items():
        if not isinstance(content, dict) or not isinstance(content.get(name), kind):
            raise InputError(f"must be a {kind.__name__}", file=path, field=name)
    for name in ("files", "aliases"):
        if not all(isinstance(value, str) for value in content[name].values()):
            raise InputError("must hold texts", file=path, field=name)
    for name in content["files"]:
        if not _FILE_NAME.fullmatch(name):
            raise InputError("is no name of a weight file", file=path, field=f"files.{name}")
    if content["format"] != FORMAT:
        raise InputError(f"is {content['format']}; this version reads {FORMAT}", file=path, field="format")
    return content


def fill_models(models: ModelSet, folder: Path, index: dict[str, Any], dtype: torch.dtype | None) -> None:
    """Put saved tensors into models of the same architecture; what shared a tensor shares it again.

    dtype: of the UNets and all else that was saved in a floating type; None keeps what was saved.

    Raises:
        InputError: a file is absent or altered; a tensor is missing, left over, or of another shape.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, digest in index["files"].items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise InputError("is absent, or not the file that was saved", file=path)
        try:
            tensors |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError("cannot be read as safetensors", file=path) from error
    held: dict[str, torch.Tensor] = {}
    for name, tensor in list(_named_tensors(models)):
        owner = index["aliases"].get(name, name)
        saved = tensors.get(owner)
        if saved is None or saved.shape != tensor.shape or saved.is_floating_point() != tensor.is_floating_point():
            raise InputError("is missing, or of another shape or kind", file=folder, field=name)
        if owner not in held:
            value = tensors[owner]
            value = value.to(dtype) if dtype is not None and value.is_floating_point() else value
            if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
                value = value.to(memory_format=torch.channels_last)  # the same bytes need the same kernels
            held[owner] = nn.Parameter(value, False) if isinstance(tensor, nn.Parameter) else value
        _put(models, name, held[owner])
    if left := set(tensors) - set(held):
        raise InputError("belongs to no model", file=folder, field=min(left))


def _named_tensors(models: ModelSet) -> list[tuple[str, torch.Tensor]]:
    """Every parameter and saved buffer by name, those that are shared under each of their names."""
    found = []
    for part, module in models.modules().items():
        saved = module.state_dict(keep_vars=True)
        found += [(f"{part}/{name}", tensor) for name, tensor in saved.items()]
    return found


def _put(models: ModelSet, name: str, tensor: torch.Tensor) -> None:
    part, _, path = name.partition("/")
    place, _, leaf = path.rpartition(".")
    module = models.modules()[part].get_submodule(place)
    if isinstance(tensor, nn.Parameter):
        module._parameters[leaf] = tensor
    else:
        module._buffers[leaf] = tensor
