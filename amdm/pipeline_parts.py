"""What users of diffusers set on a pipeline: each attribute acts, or is refused in one line."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import nn
from transformers import PreTrainedTokenizerBase

from amdm.components import unwrapped
from amdm.errors import InputError
from amdm.hub import lora_file
from amdm.lora import deltas, pairs, read_lora
from amdm.methods import scheduler_of
from amdm.model_set import ModelSet
from amdm.models.control import ControlModel
from amdm.pipeline_call import Call, call_of
from amdm.plain_number import checked_number
from amdm.presets.settings import MethodSettings

OWN = frozenset({"models", "settings", "profile", "preset", "image_processor"})
HIDDEN = frozenset(
    {"_calls", "_offload_to", "_held", "_scheduler", "_single_use", "_merged", "_internal_dict", "_progress_bar_config"}
)
INSTEAD = {
    "guidance_scale": "give guidance_scale to the call",
    "_guidance_scale": "give guidance_scale to the call; it is the same in every step",
    "num_timesteps": "give num_inference_steps to the call",
    "_num_timesteps": "give num_inference_steps to the call",
    "device": "use to(device)",
    "dtype": "use to(dtype)",
    "interrupt": "set _interrupt",
}


class PipelineParts(DiffusionPipeline):
    """Scheduler and networks of a pipeline by their names in diffusers; networks are the target's."""

    models: ModelSet
    settings: MethodSettings
    _scheduler: SchedulerMixin | None
    _calls: set[Call]
    _offload_to: torch.device | None
    _single_use: bool
    _merged: dict[nn.Parameter, torch.Tensor]

    def __setattr__(self, name: str, value: Any) -> None:
        known = getattr(type(self), name, None)
        settable = known is not None and (not isinstance(known, property) or known.fset is not None)
        if not settable and name not in OWN | HIDDEN:
            way = INSTEAD.get(name, f"what can be set: {', '.join(sorted(PARTS | OWN))}")
            raise InputError(f"is nothing that this pipeline would read; {way}", field=name)
        if name in PARTS | OWN and self._is_drawing(name):
            raise InputError("cannot be changed while a picture is drawn; set it before the call", field=name)
        super().__setattr__(name, value)

    def _is_drawing(self, name: str) -> bool:
        """Whether this code runs in a call, or another thread's is under way: that has a scheduler of its own."""
        calls = self.__dict__.get("_calls")
        return bool(calls) and (name != "scheduler" or call_of(self) is not None)

    @property
    def _target(self) -> ControlModel:
        return self.models.models[self.settings.models[0]]

    @property
    def scheduler(self) -> SchedulerMixin:
        """Of the target. One that is set is used by every model, and by calls that begin later; each has its copy, so
        that what a callback alters of this one acts from the next call on."""
        name = self.settings.models[0]
        own = self.settings.settings[name].scheduler
        kept = self._target.scheduler if own == "ddim" else scheduler_of(self._target, self.settings.settings[name])
        return self._scheduler or kept

    @scheduler.setter
    def scheduler(self, value: SchedulerMixin) -> None:
        if not isinstance(value, SchedulerMixin) or not callable(getattr(value, "step", None)):
            raise InputError(f"is a {type(value).__name__}, and no scheduler of diffusers", field="scheduler")
        kind, ours = type(value).__name__, self._target.scheduler.config.prediction_type
        theirs = value.config.get("prediction_type")
        if theirs != ours:
            what = f"expects {theirs}, and {self._target.name} predicts {ours}"
            raise InputError(f"{what}; use {kind}.from_config(pipe.scheduler.config)", field="scheduler")
        if len(self.settings.models) > 1 and not isinstance(value, DDIMScheduler):
            raise InputError(f"is {kind}; aggregation needs DDIM (a preset of one model takes any)", field="scheduler")
        alphas = getattr(value, "alphas_cumprod", None)
        if alphas is not None and float(alphas[-1]) == 0:
            what = (
                f"is a {kind} without signal at its last step (rescale_betas_zero_snr), which these models do not know"
            )
            raise InputError(f"{what}; use {kind}.from_config(pipe.scheduler.config)", field="scheduler")
        object.__setattr__(self, "_scheduler", value)

    @property
    def unet(self) -> nn.Module:
        """Of the target; another one must have the very parameters by name and shape, its controls among them."""
        return self._target.unet

    @unet.setter
    def unet(self, value: nn.Module) -> None:
        unlike = sorted(set(_shapes(value).items()) ^ set(_shapes(self._target.unet).items()))
        if unlike:
            what = f"has not the parameters of {self._target.name}'s, controls included (first: {unlike[0][0]})"
            raise InputError(f"{what}; sample with other networks by amdm.aggregate_sample", field="unet")
        self._target.unet = value

    @property
    def vae(self) -> nn.Module:
        """That decodes the target's latents."""
        vae: nn.Module = self.models.vaes[self._vae_place]
        return vae

    @vae.setter
    def vae(self, value: nn.Module) -> None:
        _require_module(value, "vae")
        config: Any = getattr(value, "config", {})
        channels, factor = config.get("latent_channels"), config.get("scaling_factor")
        if channels != self.models.latent_channels or not math.isclose((factor or 0) * self.models.vae_factor, 1.0):
            needs = f"{self.models.latent_channels} and {1 / self.models.vae_factor:g}"
            what = f"has {channels} latent channels and the scaling factor {factor}; the models' latents have {needs}"
            raise InputError(what, field="vae")
        self.models.vaes[self._vae_place] = value

    @property
    def _vae_place(self) -> str:
        return self._target.name if self._target.name in self.models.vaes else ""

    @property
    def text_encoder(self) -> nn.Module:
        """Of the target; one that is set is used by every model, which share theirs."""
        return self._target.text.text_encoder

    @text_encoder.setter
    def text_encoder(self, value: nn.Module) -> None:
        _require_module(value, "text_encoder")
        width, ours = getattr(getattr(value, "config", None), "hidden_size", None), self._target.text.dim
        if width != ours:
            raise InputError(f"has embeddings of width {width}; the models read {ours}", field="text_encoder")
        for model in self.models.models.values():
            model.text.text_encoder = value

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Of the target; one that is set is used by every model, which share theirs."""
        return self._target.text.tokenizer

    @tokenizer.setter
    def tokenizer(self, value: PreTrainedTokenizerBase) -> None:
        if not isinstance(value, PreTrainedTokenizerBase):
            raise InputError(f"is a {type(value).__name__}, and no tokenizer of transformers", field="tokenizer")
        rows = int(self._target.text.text_encoder.config.vocab_size)
        if len(value) > rows:
            raise InputError(f"has {len(value)} tokens; the text encoder has embeddings for {rows}", field="tokenizer")
        for model in self.models.models.values():
            model.text.tokenizer = value

    @property
    def safety_checker(self) -> None:
        """There is none."""
        return None

    @safety_checker.setter
    def safety_checker(self, value: None) -> None:
        if value is not None:
            raise InputError("would not be asked; check the pictures that the call returns", field="safety_checker")

    @property
    def components(self) -> dict[str, Any]:
        """The target's parts by their names in diffusers, and the other networks as ``"<model>.unet"``, each once."""
        names = ("scheduler", "tokenizer", "text_encoder", "unet", "vae")
        found: dict[str, Any] = {name: getattr(self, name) for name in names}
        for name, module in self.models.modules().items():
            if not any(module is one for one in found.values()):
                found[name] = module
        return found

    def enable_vae_slicing(self) -> None:
        """Decode a batch one picture at a time."""
        self._tell_vaes("enable_slicing")

    def disable_vae_slicing(self) -> None:
        """Decode a batch in one go (of 16 at most)."""
        self._tell_vaes("disable_slicing")

    def enable_vae_tiling(self) -> None:
        """Decode a large picture in overlapping tiles, which need less memory; they may differ slightly at seams."""
        self._tell_vaes("enable_tiling")
        for vae in self.models.vaes.values():
            if hasattr(
                vae, "spatial_scale_factor"
            ):  # diffusers' tiny autoencoder takes it to be 8, whatever its layers
                vae.spatial_scale_factor = self.models.latent_scale

    def disable_vae_tiling(self) -> None:
        """Decode every picture whole."""
        self._tell_vaes("disable_tiling")

    def _tell_vaes(self, what: str) -> None:
        self._require_idle(what)
        if lacking := [vae for vae in self.models.vaes.values() if not hasattr(vae, what)]:
            raise InputError(f"{type(lacking[0]).__name__} has no {what}", field="vae")
        for vae in self.models.vaes.values():
            getattr(vae, what)()

    def load_lora_weights(
        self,
        weights: str | os.PathLike[str] | Mapping[str, torch.Tensor],
        *,
        weight_name: str | None = None,
        scale: float = 1.0,
        revision: str | None = None,
    ) -> None:
        """Merge LoRA weights into the UNets (what they share once) and the text encoder; several may follow each other.

        Args:
            weights: a .safetensors file, a folder or a Hub repository of one, or tensors by name.
            weight_name: which file of a folder or repository. revision: of a repository.
            scale: factor on what is added.

        Raises:
            InputError: naming the key that fits no layer, or is of a form that is not merged, or an argument that says
                nothing of such weights; nothing is changed.
        """
        self._require_idle("load_lora_weights")
        self._require_held("load_lora_weights")
        alphas: Mapping[str, float] = {}
        if isinstance(weights, Mapping):
            for name, value in {"weight_name": weight_name, "revision": revision}.items():
                if value is not None:
                    raise InputError("is of files, and these are tensors", field=name)
            state: Mapping[str, torch.Tensor] = weights
        else:
            state, alphas = read_lora(lora_file(weights, weight_name, revision))
        scale = checked_number(scale, "scale")
        networks = [
            {"unet": unwrapped(one.unet), "text_encoder": unwrapped(one.text.text_encoder)}
            for one in self.models.models.values()
        ]
        found = deltas(pairs(state, networks[0], alphas), networks)
        with torch.no_grad():
            for weight, delta in found.items():
                self._merged.setdefault(weight, weight.detach().to("cpu", copy=True))
                weight.copy_(weight.float() + scale * delta.to(weight.device))
        self.models.forget_texts()

    def unload_lora_weights(self) -> None:
        """Put back the weights from before the first :meth:`load_lora_weights`, to the bit."""
        self._require_idle("unload_lora_weights")
        with torch.no_grad():
            for weight, before in self._merged.items():
                weight.copy_(before)
        self._merged.clear()
        self.models.forget_texts()

    def _require_idle(self, what: str) -> None:
        if self._calls:
            raise InputError("is for when no picture is drawn; call it before the pipeline", field=what)

    def _require_held(self, what: str) -> None:
        """Raise InputError where the one call is under way or was made, whose networks are given back."""
        spent = next(self.text_encoder.parameters()).is_meta  # given back first
        if spent or (self._single_use and self._calls):
            raise InputError("the one call was made; load the pipeline again", field=what)

    def remove_all_hooks(self) -> None:
        """End model offload: networks stay in main memory until :meth:`to` moves them."""
        self._require_idle("remove_all_hooks")
        self._offload_to = None

    @classmethod
    def from_pipe(cls, pipeline: Any, **kwargs: Any) -> Any:
        """Refused: InputError."""
        raise InputError("is not done here; use AMDMPipeline.from_unets", field="from_pipe")

    def enable_sequential_cpu_offload(self, *args: Any, **kwargs: Any) -> None:
        """Refused: InputError."""
        raise InputError("is not done here; use enable_model_cpu_offload()", field="enable_sequential_cpu_offload")

    def enable_group_offload(self, *args: Any, **kwargs: Any) -> None:
        """Refused: InputError."""
        raise InputError("is not done here; use enable_model_cpu_offload()", field="enable_group_offload")

    def set_attention_slice(self, *args: Any, **kwargs: Any) -> None:
        """Refused: InputError. So are the methods of diffusers that slice attention."""
        raise InputError("attention is torch's fused one, which needs no slices", field="attention_slicing")

    def enable_attention_slicing(self, *args: Any, **kwargs: Any) -> None:
        """Refused: InputError."""
        self.set_attention_slice()

    def set_use_memory_efficient_attention_xformers(self, *args: Any, **kwargs: Any) -> None:
        """Refused: InputError. So are the methods of diffusers that switch xformers."""
        raise InputError("attention is torch's fused one, as models' controls need", field="xformers")

    def enable_freeu(self, *args: Any, **kwargs: Any) -> None:
        """Refused: InputError."""
        raise InputError("is not done here; call it on pipe.unet", field="enable_freeu")

    def fuse_qkv_projections(self, *args: Any, **kwargs: Any) -> None:
        """Refused: InputError."""
        raise InputError("would replace the attention that models' controls sit in", field="fuse_qkv_projections")


PARTS = frozenset({"scheduler", "unet", "vae", "text_encoder", "tokenizer", "safety_checker"})


def _require_module(value: Any, name: str) -> nn.Module:
    if not isinstance(value, nn.Module):
        raise InputError(f"is a {type(value).__name__}, and no network of torch", field=name)
    return value


def _shapes(unet: Any) -> dict[str, tuple[int, ...]]:
    """Of the parameters, by name."""
    module = unwrapped(_require_module(unet, "unet"))
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
