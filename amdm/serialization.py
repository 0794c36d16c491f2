"""A pipeline in one folder, as diffusers lays one out: ``model_index.json`` and a folder a component.

Of a preset, ``unet`` is the base that the models share, whole and once; a model's own folder holds what it adds, or has
otherwise. UNets of a user's own lie whole in ``unet``, ``unet_2`` …, one that has two names once. So diffusers and
transformers can read each component alone. ``digests.json`` has the SHA-256 of every file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import diffusers
import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from amdm.components import (
    INDEX,
    UNET_FOLDER,
    channels_last,
    check_described,
    kind_of,
    library_of,
    named,
    read_network,
    read_tokenizer,
    unwrapped,
)
from amdm.errors import InputError, in_file
from amdm.io.files import make_folder, read_json, sha256, usual_permissions, write_atomic
from amdm.loading import fresh_models
from amdm.model_set import ModelSet
from amdm.models.full_size import on_meta
from amdm.own_unets import PROFILE as OWN_PROFILE
from amdm.own_unets import model_name, own_models
from amdm.presets.settings import MethodSettings

DIGESTS = "digests.json"
FORMAT = 2
MAX_INDEX_BYTES = 16 * 2**20
MOST_TRAIN_STEPS = 10_000
WEIGHTS = {"diffusers": "diffusion_pytorch_model.safetensors", "transformers": "model.safetensors"}
"""Name of a network's weight file, by the library that the network is of."""

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+#-]{0,99}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FIELDS: dict[str, type] = {"format": int, "profile": str, "preset": str, "settings": dict, "scheduler_set": bool}
_OWN_FIELDS: dict[str, type] = {"unets": dict, "channels_last": list}


class Saved(NamedTuple):
    """What a folder holds. scheduler: the one that had been set, if any."""

    models: ModelSet
    settings: MethodSettings
    profile: str
    preset: str
    scheduler: SchedulerMixin | None


def save_pipeline(models: ModelSet, scheduler: SchedulerMixin, folder: Path, about: Mapping[str, Any]) -> None:
    """Write every component, then the digests, then the index: a folder without one is no saved pipeline.

    Args:
        models: the target first. scheduler: the target's.
        about: profile, preset, settings, and ``scheduler_set``: whether models have another one than their own.

    Raises:
        InputError: a network or the tokenizer is not of the kind that the profile's models have or, with UNets of a
            user's own, none that diffusers and transformers make again; nothing is written.
    """
    target, others = next(iter(models.models.values())), _whole_networks(models)
    own = _own_networks(models) if about["profile"] == OWN_PROFILE else {}
    if own:
        check_described({**own, **others, "tokenizer": target.text.tokenizer})
    else:
        _check_rebuilt(models, about["profile"])
    make_folder(folder)
    (folder / INDEX).unlink(missing_ok=True)
    scheduler.save_pretrained(folder / "scheduler")
    target.text.tokenizer.save_pretrained(folder / "tokenizer")
    components = {"scheduler": named(scheduler), "tokenizer": named(target.text.tokenizer)}
    networks = {**(own or {"unet": _base(models)}), **others}
    for place, module in networks.items():
        _save_network(module, folder / place)
        components[place] = named(module)
    if own:
        about = {**about, **_own_fields(models, networks)}
    else:
        components |= _save_controls(models, networks["unet"], folder, about["settings"]["settings"])
    written = [path for place in components for path in sorted((folder / place).iterdir())]
    write_atomic(folder / DIGESTS, _as_json({path.relative_to(folder).as_posix(): sha256(path) for path in written}))
    head = {"_class_name": "AMDMPipeline", "_diffusers_version": diffusers.__version__}
    own_part = {"format": FORMAT, "version": version("amdm"), **about}
    write_atomic(folder / INDEX, _as_json({**head, **components, "amdm": own_part}))


def _save_network(module: Any, place: Path) -> None:
    library = library_of(module)
    (module.save_config if library == "diffusers" else module.config.save_pretrained)(place)
    _save_tensors(module.state_dict(), place / WEIGHTS[library])


def _save_controls(
    models: ModelSet, base: UNet2DConditionModel, folder: Path, settings: Mapping[str, Any]
) -> dict[str, list[str]]:
    """What each model adds to the base, or has otherwise. Returns the components by folder."""
    shared, components = dict(base.named_parameters()), {}
    for name, model in models.models.items():
        own = {key: one for key, one in _tensors(model.unet).items() if shared.get(key) is not one}
        _save_tensors(own, make_folder(folder / name) / WEIGHTS["diffusers"])
        config = {"_class_name": type(model).__name__, **settings.get(name, {})}
        write_atomic(folder / name / "config.json", _as_json(config))
        components[name] = ["amdm", type(model).__name__]
    return components


def load_pipeline(folder: Path, overrides: Sequence[str] = (), dtype: torch.dtype | None = None) -> Saved:
    """What :func:`save_pipeline` wrote.

    Args:
        overrides: of settings, as of :meth:`amdm.presets.settings.MethodSettings.read`.
        dtype: of all that was saved in a floating type; None keeps what was saved.

    Raises:
        InputError: the folder is no saved pipeline; a file is absent, altered, or of a kind that is not read; a tensor
            is missing, left over, or of another shape; an override names no field.
    """
    index = read_index(folder)
    about = index["amdm"]
    try:
        settings = MethodSettings.read(about["settings"])
    except InputError as error:
        raise error.within(file=folder / INDEX, field="amdm") from error
    settings = MethodSettings.read(settings.describe(), overrides)
    digests = _texts(read_json(folder / DIGESTS, MAX_INDEX_BYTES), folder / DIGESTS, "digests")
    _check_digests(folder, digests)
    own = about["profile"] == OWN_PROFILE
    scheduler = read_scheduler(folder, digests) if own or about["scheduler_set"] else None
    if own:
        models = _own_models(folder, index, about, digests, scheduler)
    else:
        models = fresh_models(about["profile"], tuple(dict.fromkeys(settings.models)))
    if strange := [name for name in settings.models if name not in models.models]:
        raise InputError(f"{strange[0][:80]!r} has no UNet", file=folder / INDEX, field="amdm.settings.models")
    unets = {model_name(name): place for name, place in about["unets"].items()} if own else {}
    _fill_models(models, folder, digests, unets, dtype)
    return Saved(models, settings, about["profile"], about["preset"], scheduler if about["scheduler_set"] else None)


def read_index(folder: Path) -> dict[str, Any]:
    """The content of a saved folder's index; the fields of what is ``amdm``'s are checked.

    Of UNets of a user's own, ``unets`` has the folder of each by its name, and ``channels_last`` the folders of the
    networks whose weights lay in memory so.

    Raises:
        InputError: it is absent, or the index of another pipeline.
    """
    path = folder / INDEX
    content = read_json(path, MAX_INDEX_BYTES)
    kind = content.get("_class_name") if isinstance(content, dict) else None
    if kind != "AMDMPipeline":
        raise InputError(f"is {str(kind)[:80]!r}, and no AMDMPipeline", file=path, field="_class_name")
    own = content.get("amdm")
    fields = _FIELDS | (_OWN_FIELDS if isinstance(own, dict) and own.get("profile") == OWN_PROFILE else {})
    for name, kind in fields.items():
        if not isinstance(own, dict) or type(own.get(name)) is not kind:
            raise InputError(f"must be a {kind.__name__}", file=path, field=f"amdm.{name}")
    if own["format"] != FORMAT:
        raise InputError(f"is {own['format']}; this version reads {FORMAT}", file=path, field="format")
    for name, place in own.get("unets", {}).items():
        if not isinstance(place, str) or not UNET_FOLDER.fullmatch(place):
            raise InputError(
                f"{str(place)[:80]!r} is not a folder of a UNet", file=path, field=f"amdm.unets.{name[:80]}"
            )
    return dict(content)


def _own_models(
    folder: Path, index: Mapping[str, Any], about: Mapping[str, Any], digests: Mapping[str, str], scheduler: Any
) -> ModelSet:
    """Models on UNets of a user's own of the architectures that were saved, to be filled."""
    unets = about["unets"]
    places = tuple(dict.fromkeys(["vae", "text_encoder", *unets.values()]))
    read = [f"{place}/config.json" for place in places]
    read += [f"tokenizer/{path.name}" for path in sorted((folder / "tokenizer").glob("*"))]
    for file in read:
        _require_digest(folder, digests, file)
    networks: dict[str, Any] = {place: read_network(folder, index, place) for place in places}
    for place in about["channels_last"]:
        if place not in networks:
            raise InputError(f"{str(place)[:80]!r} is not a network", file=folder / INDEX, field="amdm.channels_last")
        networks[place].to(memory_format=torch.channels_last)
    parts = SimpleNamespace(**networks, tokenizer=read_tokenizer(folder, index), scheduler=scheduler)
    with in_file(folder):
        return own_models({name: networks[place] for name, place in unets.items()}, parts)


def _fill_models(
    models: ModelSet,
    folder: Path,
    digests: Mapping[str, str],
    unets: Mapping[str, str],
    dtype: torch.dtype | None,
) -> None:
    """Put saved tensors into models of the same architecture; what shared a tensor shares it again.

    unets: of a user's own, the folder of each by its model; without them, the base and what models add lie apart.
    """
    places = dict.fromkeys(unets.values() or ("unet", *models.models), "diffusers")
    for place, module in _whole_networks(models).items():
        places[place] = library_of(module)
    stored: dict[str, torch.Tensor] = {}
    for place, library in places.items():
        file = f"{place}/{WEIGHTS[library]}"
        _require_digest(folder, digests, file)
        stored |= {f"{place}/{name}": tensor for name, tensor in _load_tensors(folder / file).items()}

    def source(part: str, key: str) -> str:
        model, _, kind = part.rpartition(".")
        if kind != "unet":
            return f"{_place(part, places)}/{key}"
        if unets:
            return f"{unets[model]}/{key}"
        return f"{model}/{key}" if f"{model}/{key}" in stored else f"unet/{key}"

    _fill(models, stored, source, folder, dtype)


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
        last = channels_last(module)
        for key, tensor in list(module.state_dict(keep_vars=True).items()):
            owner = source(part, key)
            value = stored.get(owner)
            if value is None or value.shape != tensor.shape or value.is_floating_point() != tensor.is_floating_point():
                place, _, name = owner.partition("/")
                raise InputError("is missing, or of another shape or kind", file=folder / place, field=name)
            if owner not in held:
                value = value.to(dtype) if dtype is not None and value.is_floating_point() else value
                if tensor.dim() == 4 and last:
                    value = value.to(memory_format=torch.channels_last)
                held[owner] = nn.Parameter(value, False) if isinstance(tensor, nn.Parameter) else value
            _put(module, key, held[owner])
    if left := set(stored) - set(held):
        place, _, name = min(left).partition("/")
        raise InputError("belongs to no model", file=folder / place, field=name)


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
        if not part.endswith(".unet") and not any(unwrapped(module) is one for one in found.values()):
            found[_place(part, found, new=True)] = unwrapped(module)
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
    config = {**unwrapped(source).config, "attention_type": "default", "encoder_hid_dim_type": None}
    with on_meta():
        base = UNet2DConditionModel.from_config(config)
    tensors = _tensors(source)
    for name in dict(base.named_parameters()):
        _put(base, name, tensors[name])
    return base


def _check_rebuilt(models: ModelSet, profile: str) -> None:
    """What is read is put into networks of the profile: others would not fit, or not be what was saved."""
    ours, theirs = models, fresh_models(profile, tuple(models.models))
    first, second = (_whole_networks(one) for one in (ours, theirs))
    for place in first.keys() | second.keys():
        if place not in second or place not in first or kind_of(first[place]) != kind_of(second[place]):
            raise InputError(f"is not of the kind that {profile}'s models have; it cannot be saved", field=place)
    for name, model in ours.models.items():
        if model.text.tokenizer.get_vocab() != theirs.models[name].text.tokenizer.get_vocab():
            raise InputError(f"is not that of {profile}'s models; it cannot be saved", field="tokenizer")


def _own_networks(models: ModelSet) -> dict[str, Any]:
    """The UNets of a user's own by the name of their folder, each network once."""
    found = {id(unwrapped(model.unet)): unwrapped(model.unet) for model in models.models.values()}
    return {f"unet_{k}" if k > 1 else "unet": one for k, one in enumerate(found.values(), 1)}


def _own_fields(models: ModelSet, networks: Mapping[str, Any]) -> dict[str, Any]:
    """What the index says of UNets of a user's own: see :func:`read_index`."""
    places = {id(module): place for place, module in networks.items()}
    unets = {name.partition(":")[2]: places[id(unwrapped(model.unet))] for name, model in models.models.items()}
    return {"unets": unets, "channels_last": [place for place, one in networks.items() if channels_last(one)]}


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and saved buffers by name, the very objects."""
    return dict(unwrapped(module).state_dict(keep_vars=True))


def _save_tensors(state: Mapping[str, torch.Tensor], path: Path) -> None:
    whole = {name: one.detach().cpu().contiguous() for name, one in state.items()}
    with usual_permissions(path):
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


def _require_digest(folder: Path, digests: Mapping[str, str], file: str) -> None:
    if file not in digests:
        raise InputError("has no digest", file=folder / DIGESTS, field=file)


def _texts(value: Any, file: Path, field: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InputError("must hold texts by name", file=file, field=field)
    return value


def read_scheduler(folder: Path, digests: Mapping[str, str]) -> SchedulerMixin:
    """The schedule of a saved folder. Raises InputError for what is none of diffusers'."""
    path = folder / "scheduler" / "scheduler_config.json"
    _require_digest(folder, digests, "scheduler/scheduler_config.json")
    config = read_json(path, MAX_INDEX_BYTES)
    name = config.get("_class_name") if isinstance(config, dict) else None
    found: Any = getattr(diffusers, str(name), None) if str(name).endswith("Scheduler") else None
    made = found
    if not (isinstance(found, type) and issubclass(found, SchedulerMixin)):
        raise InputError(f"{str(name)[:80]!r} is not a scheduler of diffusers", file=path, field="_class_name")
    steps = config.get("num_train_timesteps", 1)
    if type(steps) is not int or not 1 <= steps <= MOST_TRAIN_STEPS:
        raise InputError(f"must be in 1 … {MOST_TRAIN_STEPS:,}", file=path, field="num_train_timesteps")
    try:
        return made.from_config(config)
    except Exception as error:  # a constructor says in many ways that numbers fit none
        raise InputError(f"fits no {name}: {str(error)[:200]}", file=path) from error


def _as_json(content: Any) -> bytes:
    return f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode()
