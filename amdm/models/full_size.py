"""Sizes of the paper's models, as in their published configurations, and how to build them without any file.

Networks are built on the meta device and filled afterwards, by a checkpoint or by random numbers, so that memory is
never held twice.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from amdm.errors import InputError
from amdm.models.control import ControlModel
from amdm.models.registry import model_spec
from amdm.models.shared_base import adopt_parameters
from amdm.models.spec import PublicWeights
from amdm.models.text import PhraseEncoder

LATENT_CHANNELS, LATENT_SCALE, SCALING_FACTOR = 4, 8, 0.18215

UNET: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,  # the number of heads, by diffusers' historical misnomer
}
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": LATENT_CHANNELS,
    "sample_size": 512,
    "scaling_factor": SCALING_FACTOR,
}
TEXT: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
}
SCHEDULE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def build_models(names: Sequence[str], share: bool = True) -> dict[str, ControlModel]:
    """Models by name on the meta device; all hold one text tower and, to share, all on SD 1.4 one base.

    Raises:
        InputError: for a name that is not registered, or whose model has no full size.
    """
    weights = {name: public_weights(name) for name in dict.fromkeys(names)}
    with on_meta():
        text = PhraseEncoder(CLIPTextModel(CLIPTextConfig(**TEXT)).eval(), build_tokenizer())
        models = {name: _build(name, text) for name in weights}
    on_one_base = [model for name, model in models.items() if weights[name].shares_base]
    for model in on_one_base[1:] if share else ():
        adopt_parameters(on_one_base[0].unet, model.unet, base_names())
    return models


def public_weights(name: str) -> PublicWeights:
    """The files of a model of full size. Raises InputError for an unknown one, and for one that has none."""
    weights = model_spec(name).weights
    if weights is None:
        raise InputError(f"{name} is of the profile mini alone", field="models")
    return weights


@lru_cache
def base_names() -> frozenset[str]:
    """The parameters of SD 1.x's UNet, by name."""
    with on_meta():
        return frozenset(name for name, _ in UNet2DConditionModel(**UNET).named_parameters())


def build_vae() -> AutoencoderKL:
    """RGB in [−1, 1] ↔ latents of an eighth of the size, on the meta device; multiply latents by 1/0.18215 first.

    It decodes a batch one at a time: a picture of 512×512 takes gigabytes meanwhile.
    """
    with on_meta():
        vae = AutoencoderKL(**VAE).eval().requires_grad_(False)
    vae.enable_slicing()
    return vae


def _build(name: str, text: PhraseEncoder) -> ControlModel:
    spec = model_spec(name)
    unet = UNet2DConditionModel(**UNET, **spec.unet)
    unet.eval().requires_grad_(False)
    return (spec.build or spec.kind)(unet, text, DDIMScheduler(**SCHEDULE))


@contextmanager
def on_meta() -> Iterator[None]:
    """Parameters made inside have a shape and no memory; buffers are real."""
    with init_empty_weights(include_buffers=False):
        yield


def fill_randomly(modules: Sequence[nn.Module], dtype: torch.dtype = torch.float32) -> None:
    """Give every parameter that is on the meta device random numbers of a size that keeps activations finite.

    Norms become the identity, biases 0, gates 0.5, matrices normal with variance 1/fan-in. What modules share is filled
    once and stays shared. Numbers depend on the order alone.
    """
    generator = torch.Generator().manual_seed(0)
    filled: dict[int, nn.Parameter] = {}
    for module in modules:
        for name, parameter in list(module.named_parameters(remove_duplicate=False)):
            if not parameter.is_meta:
                continue
            if id(parameter) not in filled:
                value = _random(name, parameter, generator).to(dtype)
                filled[id(parameter)] = nn.Parameter(value, requires_grad=False)
                # The old parameter must live on, or another could take its place in memory and its id.
                filled[id(parameter)].replaces = parameter  # type: ignore[attr-defined]
            place, _, leaf = name.rpartition(".")
            module.get_submodule(place)._parameters[leaf] = filled[id(parameter)]


def _random(name: str, parameter: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if parameter.dim() == 0:
        return torch.full((), 0.5)
    if parameter.dim() == 1:
        return torch.ones(parameter.shape) if name.endswith("weight") else torch.zeros(parameter.shape)
    fan_in = parameter[0].numel()
    return torch.randn(parameter.shape, generator=generator).div_(math.sqrt(fan_in))


@lru_cache
def build_tokenizer() -> CLIPTokenizer:
    """CLIP's byte-pair tokenizer from the vocabulary that open_clip packages, padded with 49407 as SD's is."""
    packed = (files("open_clip") / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    letters = _byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {word: k for k, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token="<|endoftext|>", model_max_length=77)


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in CLIP's order: printable bytes as they are, the others from 256 up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in plain] + [chr(256 + k) for k in range(256 - len(plain))]
