"""UNets of a user's own, of diffusers, as the models of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import PreTrainedTokenizerBase

from amdm.aggregation import SEMANTICS
from amdm.errors import InputError
from amdm.model_set import ModelSet
from amdm.models.control import ControlModel
from amdm.models.stable_diffusion import StableDiffusion
from amdm.models.text import PhraseEncoder
from amdm.presets.settings import MethodSettings

PROFILE = "own"
PARTS = ("vae", "text_encoder", "tokenizer", "scheduler")
AGGREGATION = {"semantics": "official", "s": 3, "eta_unit": "sqrt_dim"}
WEIGHT, ETA_OF_TARGET, ETA = 0.5, 0.3516, 0.4297
"""The paper's, by the names of :class:`amdm.aggregation.AggregationConfig`; each can be given another value."""


def own_models(unets: Mapping[str, UNet2DConditionModel], parts: Any) -> ModelSet:
    """The models, each on its UNet, with the parts that they share.

    Args:
        unets: by a name of the user's, the target first. parts: has vae, text_encoder, tokenizer and scheduler, as a
            Stable Diffusion pipeline of diffusers has.

    Raises:
        InputError: what is none of diffusers' or transformers' kind, or does not fit the other parts.
    """
    if not isinstance(unets, Mapping) or not unets:
        raise InputError('must be UNets by name, {"first": unet, …}', field="unets")
    if lacking := [name for name in PARTS if getattr(parts, name, None) is None]:
        raise InputError(f"has no {lacking[0]}; a StableDiffusionPipeline has", field="parts")
    if not isinstance(parts.tokenizer, PreTrainedTokenizerBase) or not parts.tokenizer.is_fast:
        raise InputError(f"is a {type(parts.tokenizer).__name__}, and no fast tokenizer", field="parts.tokenizer")
    for name, unet in unets.items():
        _check_unet(name, unet, parts)
    text = PhraseEncoder(parts.text_encoder, parts.tokenizer)
    models: dict[str, ControlModel] = {}
    for name, unet in unets.items():
        # Latents lie outside [−1, 1]: a schedule that was written for another sampler may leave clipping on.
        schedule = DDIMScheduler.from_config(parts.scheduler.config, clip_sample=False)
        model = StableDiffusion(unet, text, schedule)
        model.name = model_name(name)
        models[model.name] = model
    vae = parts.vae
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    return ModelSet(models, {"": vae}, 1 / vae.config.scaling_factor, vae.config.latent_channels, scale)


def model_name(name: str) -> str:
    """What settings call the model on the UNet of this name."""
    return f"{StableDiffusion.name}:{name}"


def own_settings(
    unets: Mapping[str, UNet2DConditionModel], models: ModelSet, aggregation: Mapping[str, Any]
) -> MethodSettings:
    """What a method of these models starts from; a call changes it.

    aggregation: fields in place of :data:`AGGREGATION`, the weights 0.5 and the paper's η/√dim; of a composition that
    is not AMDM's, all of it.

    Raises:
        InputError: naming the field that is unknown or wrong.
    """
    others, target = len(unets) - 1, next(iter(unets.values()))
    size = target.config.sample_size or 64
    rows, columns = size if isinstance(size, list | tuple) else (size, size)
    mixes = aggregation.get("semantics", AGGREGATION["semantics"]) in SEMANTICS
    defaults = {**AGGREGATION, "weights": [WEIGHT] * others, "eta": [ETA_OF_TARGET, *[ETA] * others]}
    content: dict[str, Any] = {
        "models": list(models.models),
        "settings": {name: {"num_inference_steps": 50, "guidance_scale": 7.5} for name in models.models},
        "height": rows * models.latent_scale,
        "width": columns * models.latent_scale,
        "negative_prompt": "",
        "aggregation": {**(defaults if mixes else {}), **aggregation} if others else None,
    }
    if aggregation and not others:
        raise InputError("has one model, which aggregates nothing", field="aggregation")
    return MethodSettings.read(content)


def _check_unet(name: str, unet: Any, parts: Any) -> None:
    field = f"unets.{name}"
    if not isinstance(name, str) or not name or set(name) & set(":#."):
        raise InputError(f"{str(name)[:80]!r} is not a name: a text without : # and .", field="unets")
    config = getattr(unet, "config", None)
    if not isinstance(unet, UNet2DConditionModel) or config is None:
        raise InputError(f"is a {type(unet).__name__}, and no UNet2DConditionModel", field=field)
    more = (config.addition_embed_type, config.class_embed_type, config.num_class_embeds, config.encoder_hid_dim_type)
    if any(more):
        raise InputError("reads more than a caption (as SDXL's does), which is not given here", field=field)
    for what, ours, theirs in (
        ("in_channels", config.in_channels, parts.vae.config.latent_channels),
        ("out_channels", config.out_channels, parts.vae.config.latent_channels),
        ("cross_attention_dim", config.cross_attention_dim, parts.text_encoder.config.hidden_size),
    ):
        if ours != theirs:
            raise InputError(f"has {what} {ours}; vae and text_encoder go with {theirs}", field=field)
