"""Models of a profile with their weights: the shipped mini ones, or the public checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from amdm.errors import InputError, unknown
from amdm.model_set import LoadOptions, ModelSet
from amdm.models.control import ControlModel
from amdm.models.registry import MODELS, model_spec
from amdm.process_state import as_in_a_fresh_process


def move(module: nn.Module, *args: Any, **kwargs: Any) -> None:
    """``module.to(…)``. That of diffusers warns at every change of dtype, also where it has nothing to warn of."""
    nothing = getattr(module, "_keep_in_fp32_modules", True) in (None, []) and not getattr(
        module, "is_quantized", False
    )
    (nn.Module.to if nothing else type(module).to)(module, *args, **kwargs)


@as_in_a_fresh_process()
def load_models(profile: str, names: Sequence[str], loading: LoadOptions) -> ModelSet:
    """The named models of a profile. Raises InputError for what is unknown, absent or not as recorded."""
    if profile == "mini":
        return _mini(names, loading)
    if loading.random_weights:
        return _random(names, loading)
    return _checkpoints(names, loading)


@as_in_a_fresh_process()
def fresh_models(profile: str, names: Sequence[str]) -> ModelSet:
    """The architectures of a profile's models, to be filled. Raises InputError for an unknown profile or model."""
    if profile == "mini":
        from amdm.mini.models import MiniModels

        return _mini_set(MiniModels().eval(), names)
    if profile == "paper":
        return _full_size(names)
    raise InputError(f"there is no profile {profile!r} to build", field="profile")


def _mini(names: Sequence[str], loading: LoadOptions) -> ModelSet:
    from amdm.mini.models import MiniModels

    if loading.random_weights:
        raise InputError("is for the profile paper; the mini models have weights", field="random_weights")
    if loading.weights_dir is not None:
        raise InputError("is of the public checkpoints; the mini models come with the package", field="weights_dir")
    if loading.dtype != torch.float32:
        raise InputError("the mini models run in float32", field="dtype")
    return _mini_set(MiniModels.load().to(torch.device(loading.device)), names)


def _checkpoints(names: Sequence[str], loading: LoadOptions) -> ModelSet:
    from amdm.checkpoints.assemble import Assembly
    from amdm.checkpoints.weights_folder import weights_dir
    from amdm.models.full_size import public_weights

    models = _full_size(names, share=False)
    parts = Assembly(weights_dir(loading.weights_dir), loading.dtype)
    text_encoder = parts.text_encoder()
    for model in models.models.values():
        parts.fill(model)
        model.text.text_encoder = text_encoder
    models.vaes = {name: parts.vae(public_weights(name).vae if name else "sd14-vae") for name in models.vaes}
    models.saved_bytes = parts.saved_bytes
    for module in models.modules().values():
        module.to(loading.device)
    return models


def _random(names: Sequence[str], loading: LoadOptions) -> ModelSet:
    from amdm.models.full_size import fill_randomly

    if loading.weights_dir is not None:
        raise InputError("is of the public checkpoints, and random weights were asked for", field="weights_dir")
    models = _full_size(names)
    first = {name: module for name, module in models.modules().items() if not name.startswith("vae.")}
    fill_randomly([*first.values(), *models.vaes.values()], dtype=loading.dtype)
    parameters = [p for model in models.models.values() for p in model.unet.parameters()]
    held = {id(p): p for p in parameters}.values()
    models.saved_bytes = sum(p.nbytes for p in parameters) - sum(p.nbytes for p in held)
    for module in models.modules().values():
        module.to(loading.device)
    return models


def _full_size(names: Sequence[str], share: bool = True) -> ModelSet:
    """The paper's models on the meta device, and their autoencoders: that of all, and those of their own."""
    from amdm.models.full_size import (
        LATENT_CHANNELS,
        LATENT_SCALE,
        SCALING_FACTOR,
        build_models,
        build_vae,
        public_weights,
    )

    models = build_models(names, share)
    vaes = {name: build_vae() for name in ("", *models) if not name or public_weights(name).vae}
    return ModelSet(models, vaes, 1 / SCALING_FACTOR, LATENT_CHANNELS, LATENT_SCALE)


def _mini_set(mini: Any, names: Sequence[str]) -> ModelSet:
    from amdm.mini.sizes import LATENT_CHANNELS, LATENT_SCALE

    chosen = {name: _mini_model(mini, name) for name in names or _mini_names()}
    return ModelSet(chosen, {"": mini.vae}, 1.0, LATENT_CHANNELS, LATENT_SCALE, mini.saved_bytes)


def _mini_model(mini: Any, name: str) -> ControlModel:
    build = model_spec(name).mini if name in MODELS else None
    if build is None:
        raise unknown("mini model", name, _mini_names(), field="models")
    return build(mini)


def _mini_names() -> list[str]:
    return [name for name in MODELS if model_spec(name).mini is not None]
