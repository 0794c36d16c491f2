"""A pipeline in one folder, as diffusers lays one out: ``model_index.json`` and a folder a component.

``unet`` is the base that the models share, whole and once; a model's own folder holds what it adds, or has otherwise.
So diffusers and transformers can read each component alone. ``digests.json`` has the SHA-256 of every file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from amdm.errors import InputError
from amdm.io.files import make_folder, read_json, sha256, write_whole
from amdm.loading import fresh_models
from amdm.model_set import ModelSet
from amdm.models.full_size import on_meta
from amdm.presets.profile import PROFILES

INDEX, DIGESTS = "model_index.json", "digests.json"
FORMAT = 2
LARGEST_INDEX = 16 * 2**20
WEIGHTS = {"diffusers": "diffusion_pytorch_model.safetensors", "transformers": "model.safetensors"}
"""Name of a network's weight file, by the library that the network is of."""

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+#-]{0,99}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FIELDS: dict[str, type] = {"format": int, "profile": str, "preset": str, "settings": dict, "scheduler_set": bool}


def save_pipeline(models: ModelSet, scheduler: SchedulerMixin, folder: Path, about: Mapping[str, Any]) -> None:
    """Write every component, then the digests, then the index: a folder without one is no saved pipeline.

    Args:
        models: the target first. scheduler: the target's.
        about: profile, preset, settings, and ``scheduler_set``: whether models have another one than their own.

    Raises:
        InputError: a network or the tokenizer is not of the kind that the profile's models have; nothing is written.
    """
    target = next(iter(models.models.values()))
    _check_rebuilt(models, about["profile"])
    make_folder(folder)
    (folder / INDEX).unlink(missing_ok=True)
    scheduler.save_pretrained(folder / "scheduler")
    target.text.tokenizer.save_pretrained(folder / "tokenizer")
    components = {
        "scheduler": ["diffusers", type(scheduler).__name__],
        "tokenizer": ["transformers", type(target.text.tokenizer).__name__],
    }
    base = _base(models)
    for place, module in {"unet": base, **_whole_networks(models)}.items():
        library = type(module).__module__.partition(".")[0]
        (module.save_config if library == "diffusers" else module.config.save_pretrained)(folder / place)
        _save_tensors(module.state_dict(), folder / place / WEIGHTS[library])
        components[place] = [library, type(module).__name__]
    shared = dict(base.named_parameters())
    for name, model in models.models.items():
        own = {key: one for key, one in _tensors(model.unet).items() if shared.get(key) is not one}
        _save_tensors(own, make_folder(folder / name) / WEIGHTS["diffusers"])
        config = {"_class_name": type(model).__name__, **about["settings"]["settings"].get(name, {})}
        write_whole(folder / name / "config.json", _as_json(config))
        components[name] = ["amdm", type(model).__name__]
    written = [path for place in components for path in sorted((folder / place).iterdir())]
    write_whole(folder / DIGESTS, _as_json({path.relative_to(folder).as_posix(): sha256(path) for path in written}))
    head = {"_class_name": "AMDMPipeline", "_diffusers_version": diffusers.__version__}
    own_part = {"format": FORMAT, "version": version("amdm"), **about}
    write_whole(folder / INDEX, _as_json({**head, **components, "amdm": own_part}))


def read_about(folder: Path) -> dict[str, Any]:
    """What the index of a saved folder says: format, profile, preset, settings, and whether a scheduler had been set.

    Raises:
        InputError: the folder is no saved pipeline, or its index lacks a field.
    """
    path = folder / INDEX
    content = read_json(path, LARGEST_INDEX)
    named = content.get("_class_name") if isinstance(content, dict) else None
    if named != "AMDMPipeline":
        raise InputError(f"is {str(named)[:80]!r}, and no AMDMPipeline", file=path, field="_class_name")
    own = content.get("amdm")
    for name, kind in _FIELDS.items():
        if not isinstance(own, dict) or type(own.get(name)) is not kind:
            raise InputError(f"must be a {kind.__name__}", file=path, field=f"amdm.{name}")
    if own["format"] != FORMAT:
        raise InputError(f"is {own['format']}; this version reads {FORMAT}", file=path, field="format")
    return own


def fill_models(
    models: ModelSet, folder: Path, about: Mapping[str, Any], dtype: torch.dtype | None
) -> SchedulerMixin | None:
    """Put saved tensors into models of the same architecture; what shared a tensor shares it again.

    Args:
        about: of :func:`read_about`. dtype: of all that was saved in a floating type; None keeps what was saved.

    Returns:
        The scheduler, where one had been set.

    Raises:
        InputError: a file is absent or altered; a tensor is missing, left over, or of another shape.
    """
    digests = _texts(read_json(folder / DIGESTS, LARGEST_INDEX), folder / DIGESTS, "digests")
    _check_digests(folder, digests)
    places = {"unet": "diffusers", **dict.fromkeys(models.models, "diffusers")}
    for place, module in _whole_networks(models).items():
        places[place] = type(module).__module__.partition(".")[0]
    stored: dict[str, torch.Tensor] = {}
    for place, library in places.items():
        file = f"{place}/{WEIGHTS[library]}"
        if file not in digests:
            raise InputError("has no digest", file=folder / DIGESTS, field=file)
        stored |= {f"{place}/{name}": tensor for name, tensor in _load_tensors(folder / file).items()}

    def source(part: str, key: str) -> str:
        model, _, kind = part.rpartition(".")
        if kind != "unet":
            return f"{_place(part, places)}/{key}"
        return f"{model}/{key}" if f"{model}/{key}" in stored else f"unet/{key}"

    _fill(models, stored, source, folder, dtype)
    return _read_scheduler(folder, digests) if about["scheduler_set"] else None


def _fill(
    models: ModelSet,
    stored: Mapping[str, torch.Tensor],
    source: Callable[[str, str], str],
    folder: Path,
    dtype: torch.dtype | None,
) -> None:
    """source: (network, name of a tensor in it) → name of the stored one that it holds."""
    held: dict[str, torch.Tensor] = {}
    for part, module in models.modules().items():
        for key, tensor in list(module.state_dict(keep_vars=True).items()):
            owner = source(part, key)
            value = stored.get(owner)
            if value is None or value.shape != tensor.shape or value.is_floating_point() != tensor.is_floating_point():
                raise InputError("is missing, or of another shape or kind", file=folder, field=f"{part}/{key}")
            if owner not in held:
                value = value.to(dtype) if dtype is not None and value.is_floating_point() else value
                if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
                    value = value.to(memory_format=torch.channels_last)  # the same bytes need the same kernels
                held[owner] = nn.Parameter(value, False) if isinstance(tensor, nn.Parameter) else value
            _put(module, key, held[owner])
    if left := set(stored) - set(held):
        raise InputError("belongs to no model", file=folder, field=min(left))


def _put(module: nn.Module, key: str, tensor: torch.Tensor) -> None:
    place, _, leaf = key.rpartition(".")
    owner = module.get_submodule(place)
    if isinstance(tensor, nn.Parameter):
        owner._parameters[leaf] = tensor
    else:
        owner._buffers[leaf] = tensor


def _whole_networks(models: ModelSet) -> dict[str, Any]:
    """All but the UNets by the name of their folder: vae, text_encoder, image_encoder; one of a model's own by its."""
    found: dict[str, Any] = {}
    for part, module in models.modules().items():
        if not part.endswith(".unet") and not any(_plain(module) is one for one in found.values()):
            found[_place(part, found, new=True)] = _plain(module)
    return found


def _place(part: str, places: Mapping[str, Any], new: bool = False) -> str:
    """The folder of a network: the plain name of its kind is the first one's."""
    kind = part.rpartition(".")[2]
    if part.startswith("vae"):
        return part
    if new:
        return part if kind in places else kind
    return part if part in places else kind


def _base(models: ModelSet) -> UNet2DConditionModel:
    """The plain UNet under the models' controls, holding the very parameters that most of them share."""
    held = [{id(one) for one in _tensors(model.unet).values()} for model in models.models.values()]
    shared = [sum(len(own & other) for other in held) for own in held]
    source = list(models.models.values())[shared.index(max(shared))].unet
    config = {**_plain(source).config, "attention_type": "default", "encoder_hid_dim_type": None}
    with on_meta():
        base = UNet2DConditionModel.from_config(config)
    tensors = _tensors(source)
    for name in dict(base.named_parameters()):
        _put(base, name, tensors[name])
    return base


def _check_rebuilt(models: ModelSet, profile: str) -> None:
    """What is read is put into networks of the profile: others would not fit, or not be what was saved."""
    if profile not in PROFILES:
        raise InputError("has UNets of your own; save these by their save_pretrained", field="pipeline")
    ours, theirs = models, fresh_models(profile, tuple(models.models))
    first, second = (_whole_networks(one) for one in (ours, theirs))
    for place in first.keys() | second.keys():
        if place not in second or place not in first or _kind(first[place]) != _kind(second[place]):
            raise InputError(f"is not of the kind that {profile}'s models have; it cannot be saved", field=place)
    for name, model in ours.models.items():
        if model.text.tokenizer.get_vocab() != theirs.models[name].text.tokenizer.get_vocab():
            raise InputError(f"is not that of {profile}'s models; it cannot be saved", field="tokenizer")


def _kind(module: nn.Module) -> tuple[Any, ...]:
    config: Any = module.config
    shown = config if isinstance(config, Mapping) else {"hidden_act": config.hidden_act}
    own = {key: value for key, value in shown.items() if not key.startswith("_")}
    return type(module), {key: tuple(one.shape) for key, one in module.state_dict().items()}, own


def _plain(module: Any) -> Any:
    """The network itself where torch.compile wraps it."""
    return getattr(module, "_orig_mod", module)


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and saved buffers by name, the very objects."""
    return dict(_plain(module).state_dict(keep_vars=True))


def _save_tensors(state: Mapping[str, torch.Tensor], path: Path) -> None:
    whole = {name: one.detach().cpu().contiguous() for name, one in state.items()}
    save_file(whole, path, metadata={"format": "pt"})


def _load_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError("cannot be read as safetensors", file=path) from error


def _check_digests(folder: Path, digests: Mapping[str, str]) -> None:
    for name, digest in digests.items():
        if not _FILE.fullmatch(name):
            raise InputError("is not a name of a saved file", file=folder / DIGESTS, field=name[:200])
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise InputError("is absent, or not the file that was saved", file=path)


def _texts(value: Any, file: Path, field: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InputError("must hold texts by name", file=file, field=field)
    return value


def _read_scheduler(folder: Path, digests: Mapping[str, str]) -> SchedulerMixin:
    path = folder / "scheduler" / "scheduler_config.json"
    if "scheduler/scheduler_config.json" not in digests:
        raise InputError("has no digest", file=folder / DIGESTS, field="scheduler/scheduler_config.json")
    config = read_json(path, LARGEST_INDEX)
    name = config.get("_class_name") if isinstance(config, dict) else None
    found: Any = getattr(diffusers, str(name), None) if str(name).endswith("Scheduler") else None
    made = found
    if not (isinstance(found, type) and issubclass(found, SchedulerMixin)):
        raise InputError(f"{str(name)[:80]!r} is no scheduler of diffusers", file=path, field="_class_name")
    try:
        return made.from_config(config)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise InputError(f"fits no {name}", file=path) from error


def _as_json(content: Any) -> bytes:
    return f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode()
