"""Components of a saved folder, made again from the class and the configuration that the folder names.

Classes are those of diffusers and transformers; code that lies in a folder is never looked at.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import UNet2DConditionModel
from diffusers.models.autoencoders.vae import AutoencoderMixin
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import CLIPTextModel, PreTrainedModel, PreTrainedTokenizerBase

from amdm.errors import InputError, in_file
from amdm.io.files import read_json
from amdm.models.full_size import on_meta
from amdm.process_state import as_in_a_fresh_process

INDEX = "model_index.json"
UNET_FOLDER = re.compile(r"unet(_[1-9][0-9]{0,3})?")
MAX_CONFIG_BYTES = 2**20
LARGEST_NUMBER, LONGEST_LIST, MOST_TENSORS = 2**20, 1000, 5_000
"""Of a configuration, and of the network that it describes; SDXL's UNet has 1,680 tensors."""
KINDS: dict[str, tuple[Any, type]] = {
    "unet": (diffusers, UNet2DConditionModel),
    "vae": (diffusers, AutoencoderMixin),
    "text_encoder": (transformers, CLIPTextModel),
    "tokenizer": (transformers, PreTrainedTokenizerBase),
}
"""Kind of component → the library that has its class, and what the class must be."""


def component_class(place: str, named: Any) -> Any:
    """The class of a component as ``model_index.json`` names it: ``["diffusers", "AutoencoderKL"]``.

    Args:
        place: the component's folder: a kind of :data:`KINDS`, or ``unet_2`` and so on.

    Raises:
        InputError: the library has no such class, or it is of another kind.
    """
    kind = "unet" if UNET_FOLDER.fullmatch(place) else place
    library, wanted = KINDS[kind]
    found = getattr(library, str(named[1]), None) if isinstance(named, list) and len(named) == 2 else None
    if not isinstance(found, type) or not issubclass(found, wanted) or named[0] != library.__name__:
        what = kind.replace("_", " ")
        raise InputError(f"{str(named)[:80]} is no {what} ({wanted.__name__}) of {library.__name__}", field=place)
    return found


@as_in_a_fresh_process()
def network_of(kind: type, config: Any) -> nn.Module:
    """A network from its class and its configuration as JSON has it, on the meta device.

    Raises:
        InputError: the configuration fits no such network.
    """
    made: Any = kind
    if not isinstance(config, Mapping):
        raise InputError(f"fits no {kind.__name__}: it must hold values by name")
    _check_size(config)
    try:
        with on_meta(), _few_tensors():
            if issubclass(kind, PreTrainedModel):
                network: nn.Module = made(made.config_class.from_dict(dict(config)))
            else:
                network = made.from_config(dict(config))
    except Exception as error:  # a constructor says in many ways that numbers fit no network
        raise InputError(f"fits no {kind.__name__}: {str(error)[:200]}") from error
    return network.eval()


def _check_size(value: Any, field: str = "") -> None:
    """Numbers that a stranger wrote say what is allocated, and how often: none may be absurd.

    Raises:
        InputError: naming the value.
    """
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise InputError(f"is larger than {LARGEST_NUMBER:,}, which no network needs", field=field)
    if isinstance(value, list | tuple | Mapping) and len(value) > LONGEST_LIST:
        raise InputError(f"has more than {LONGEST_LIST:,} values, which no network needs", field=field)
    named_values = value.items() if isinstance(value, Mapping) else ()
    for name, one in enumerate(value) if isinstance(value, list | tuple) else named_values:
        _check_size(one, f"{field}.{str(name)[:80]}" if field else str(name)[:80])


@contextmanager
def _few_tensors() -> Iterator[None]:
    """Networks built inside, by this thread, end in an InputError where they have more than :data:`MOST_TENSORS`."""
    thread, left = threading.get_ident(), iter(range(MOST_TENSORS))

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        if threading.get_ident() == thread and next(left, None) is None:
            raise InputError(f"it has more than {MOST_TENSORS:,} tensors")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def read_network(folder: Path, index: Mapping[str, Any], place: str) -> nn.Module:
    """The network of a component's folder, without its weights.

    Args:
        index: the content of the folder's ``model_index.json``. place: as of :func:`component_class`.

    Raises:
        InputError: naming the file: its class or its configuration is none of this kind.
    """
    kind, path = _class_in(folder, index, place), folder / place / "config.json"
    with in_file(path):
        return network_of(kind, read_json(path, MAX_CONFIG_BYTES))


def read_tokenizer(folder: Path, index: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    """The tokenizer of a saved folder. Raises InputError as :func:`read_network`."""
    kind, place = _class_in(folder, index, "tokenizer"), folder / "tokenizer"
    try:
        return kind.from_pretrained(place, local_files_only=True)
    except Exception as error:  # as above
        raise InputError(f"cannot be read as {kind.__name__}: {str(error)[:200]}", file=place) from error


def _class_in(folder: Path, index: Mapping[str, Any], place: str) -> Any:
    with in_file(folder / INDEX):
        return component_class(place, index.get(place))


def check_described(components: Mapping[str, Any]) -> None:
    """What is read is made of class and configuration alone: adapters and classes of a user's own would be lost.

    components: networks and tokenizer by the name of their folder.

    Raises:
        InputError: naming the component that could not be made again.
    """
    for place, one in components.items():
        try:
            kind = component_class(place, named(one))
            again = one if place == "tokenizer" else network_of(kind, _config(one))
        except InputError as error:
            raise InputError(f"{error.what}; it cannot be saved", field=place) from error
        if again is not one and (kind_of(again), _processors(again)) != (kind_of(one), _processors(one)):
            raise InputError("is not what its configuration describes (adapters?); it cannot be saved", field=place)


def kind_of(module: nn.Module) -> tuple[Any, ...]:
    """Class, shapes of the tensors by name and configuration: equal of networks that hold each other's tensors."""
    config: Any = module.config
    shown = config if isinstance(config, Mapping) else {"hidden_act": config.hidden_act}
    own = {key: value for key, value in shown.items() if not key.startswith("_")}
    return type(module), {key: tuple(one.shape) for key, one in module.state_dict().items()}, own


def channels_last(module: nn.Module) -> bool:
    """Whether its kernels lie in memory so: the same bytes of a picture need the same order."""
    kernels = [one for one in module.parameters() if one.dim() == 4]
    return bool(kernels) and all(one.is_contiguous(memory_format=torch.channels_last) for one in kernels)


def named(component: object) -> list[str]:
    """As an index names a component: library and class."""
    return [library_of(component), type(component).__name__]


def library_of(component: object) -> str:
    """``diffusers`` or ``transformers``, or whose class it is otherwise."""
    return type(component).__module__.partition(".")[0]


def unwrapped(module: Any) -> Any:
    """The network itself where torch.compile wraps it."""
    return getattr(module, "_orig_mod", module)


def _processors(module: Any) -> dict[str, type]:
    return {name: type(one) for name, one in getattr(module, "attn_processors", {}).items()}


def _config(module: Any) -> dict[str, Any]:
    """As its file has it."""
    return dict(module.config if isinstance(module.config, Mapping) else module.config.to_dict())
