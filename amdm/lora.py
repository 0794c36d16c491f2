"""LoRA weights merged into networks: W + scale · α/r · up · down (Hu et al., 2021), in the files' common key forms.

kohya's (``lora_unet_down_blocks_0_…_to_q.lora_down.weight``), diffusers' own (``unet.….to_q.lora_A.weight``) and its
earlier ones (``….to_q.lora.down.weight``, ``….processor.to_q_lora.down.weight``). No library for it is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from amdm.errors import InputError
from amdm.plain_number import checked_number

PREFIXES = {"unet": ("unet.", "lora_unet_"), "text_encoder": ("text_encoder.", "lora_te1_", "lora_te_")}
"""Of keys, by the network that they are for; one form has neither, and is for the UNet."""

_PART = re.compile(r"(.+?)(?:\.lora_down|\.lora_up|\.lora_A|\.lora_B|[._]lora\.down|[._]lora\.up)\.weight")
_DOWN = re.compile(r"(\.lora_down|\.lora_A|[._]lora\.down)\.weight$")
METADATA = "lora_adapter_metadata"
"""Where diffusers puts rank and α, in the header of a file."""


class Pair(NamedTuple):
    """The two matrices of one layer, down (r, in, …) and up (out, r, …), and α; None is r."""

    down: torch.Tensor
    up: torch.Tensor
    alpha: float | None

    def delta(self, shape: torch.Size) -> torch.Tensor:
        """α/r · up · down in the shape of the layer's weight, float32. Raises RuntimeError where it has another."""
        if min(self.down.dim(), self.up.dim()) < 2 or not (rank := self.down.shape[0]):
            raise RuntimeError("no matrices, or of rank 0")
        whole = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return whole.reshape(shape) * ((rank if self.alpha is None else self.alpha) / rank)


def read_lora(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Tensors of a safetensors file, and α by network where its header has one.

    Raises:
        InputError: it is absent or no safetensors file, or its header asks for what is not done here.
    """
    if not path.is_file():
        raise InputError("is absent", file=path)
    if path.suffix != ".safetensors":
        raise InputError("is no .safetensors file; others may hold code, and are not read", file=path)
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(METADATA, "{}")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no mapping
        about = json.loads(header)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError("cannot be read as safetensors", file=path) from error
    if not isinstance(about, dict):
        raise InputError("must be an object", file=path, field=METADATA)
    for name, value in about.items():
        if name.rpartition(".")[2] in ("use_dora", "use_rslora", "alpha_pattern", "rank_pattern") and value:
            raise InputError("is not merged here", file=path, field=f"{METADATA}.{name}")
    alphas = {kind: about.get(f"{kind}.lora_alpha") for kind in PREFIXES}
    return state, {kind: float(one) for kind, one in alphas.items() if isinstance(one, int | float)}


def pairs(
    state: Mapping[str, torch.Tensor], networks: Mapping[str, nn.Module], alphas: Mapping[str, float] | None = None
) -> dict[tuple[str, str], Pair]:
    """(network, name of a weight in it) → the pair for it.

    Args:
        networks: "unet" and "text_encoder". alphas: by network, for pairs that have none of their own.

    Raises:
        InputError: naming the key that is of no LoRA, for a layer that is not there, or for what another key is for.
    """
    layers = {kind: _layers(module) for kind, module in networks.items()}
    halves: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for key, tensor in state.items():
        found = _PART.fullmatch(key)
        stem = found[1] if found else key.removesuffix(".alpha")
        if not isinstance(tensor, torch.Tensor) or (not found and not key.endswith(".alpha")):
            raise InputError("is of no LoRA that is merged here (down, up and alpha are)", field=key[:200])
        place = _place(stem, layers)
        if place is None:
            raise InputError("is for a layer that is not there", field=key[:200])
        part = "alpha" if not found else "down" if _DOWN.search(key) else "up"
        if part in halves.setdefault(place, {}):
            raise InputError(f"is a second {part} of {place[0]}.{place[1]}", field=key[:200])
        halves[place][part] = tensor
    made = {}
    for (kind, name), own in halves.items():
        if missing := {"down", "up"} - own.keys():
            raise InputError(f"has no {min(missing)}", field=f"{kind}.{name}")
        alpha = _alpha(own["alpha"], f"{kind}.{name}") if "alpha" in own else (alphas or {}).get(kind)
        made[kind, name] = Pair(own["down"], own["up"], alpha)
    return made


def deltas(found: Mapping[tuple[str, str], Pair], networks: Iterable[Mapping[str, nn.Module]]) -> dict[Any, Any]:
    """Parameter → what is to be added to it, each parameter once, whichever networks share it.

    Raises:
        InputError: a matrix does not fit its layer, or one of the networks has none of that name.
    """
    made: dict[nn.Parameter, torch.Tensor] = {}
    for own in networks:
        for (kind, name), pair in found.items():
            try:
                weight = own[kind].get_parameter(name)
            except AttributeError as error:
                raise InputError("is of some of the models, and not of all", field=f"{kind}.{name}") from error
            try:
                made[weight] = made[weight] if weight in made else pair.delta(weight.shape)
            except RuntimeError as error:
                shapes = f"{tuple(pair.up.shape)} · {tuple(pair.down.shape)}"
                what = f"{shapes} does not fit a weight of the shape {tuple(weight.shape)}"
                raise InputError(what, field=f"{kind}.{name}") from error
    return made


def _alpha(value: torch.Tensor, layer: str) -> float:
    return checked_number(value.reshape(()) if value.numel() == 1 else value, f"{layer}.alpha")


def _layers(module: nn.Module) -> dict[str, str]:
    """Weights of linear and convolutional layers, by the layer's name as files write it, with points or without."""
    found = {}
    for name, one in module.named_modules():
        if isinstance(one, nn.Linear | nn.Conv2d):
            for written in (name, f"text_model.{name}"):  # a level that the text tower of transformers 5 has not
                found[written] = found[written.replace(".", "_")] = f"{name}.weight"
    return found


def _place(stem: str, layers: Mapping[str, Mapping[str, str]]) -> tuple[str, str] | None:
    """The network and the weight that a key without its ending is for."""
    kind = "unet"
    for network, prefixes in PREFIXES.items():
        for prefix in prefixes:
            if stem.startswith(prefix):
                kind, stem = network, stem.removeprefix(prefix)
    stem = stem.replace(".processor.", ".")
    for written in (stem, f"{stem}.0", f"{stem}_0"):  # to_out is a list of a layer and its dropout
        if written in layers[kind]:
            return kind, layers[kind][written]
    return None
