"""Aggregation behind the interface of a diffusers pipeline."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from PIL import Image

from amdm.errors import InputError
from amdm.hub import is_repository, model_card, pipeline_folder, upload
from amdm.layout import Interaction, Layout
from amdm.loading import load_models, move
from amdm.methods import Method
from amdm.model_set import LoadOptions, ModelSet, require_device, require_dtype
from amdm.own_unets import PROFILE as OWN_PROFILE
from amdm.own_unets import own_models, own_settings
from amdm.pipeline_call import Call, call_of, running, tell
from amdm.pipeline_inputs import (
    call_settings,
    check_latents,
    check_output,
    label,
    override_texts,
    sample_keys,
    sample_layouts,
    sample_negatives,
    style_images,
)
from amdm.pipeline_parts import PipelineParts
from amdm.plain_number import plain
from amdm.presets.profile import PROFILES, load_profile
from amdm.presets.settings import MethodSettings
from amdm.process_state import undisturbed
from amdm.sampler import BoundModel, SamplingResult, Step, finite_samples
from amdm.serialization import load_pipeline, save_pipeline

RELEASED = {("unet",): ("text_encoder", "image_encoder"), ("vae",): ("unet",)}
"""What will not run again when a phase of a call begins that needs these kinds of networks."""
Images = list[Image.Image] | np.ndarray | torch.Tensor
_OFFLOADING = threading.RLock()
"""Held by a call that moves networks about: a second one would find them elsewhere. Calls without offload need none."""
OnStepEnd = Callable[["AMDMPipeline", int, float, dict[str, Any]], dict[str, Any] | None]


@dataclass
class AMDMPipelineOutput(BaseOutput):
    """images: the target's. finite: False marks a sample whose latents or picture have NaN or infinity.

    images_by_model: every model's own pictures, where they were asked for.
    """

    images: Images
    finite: list[bool]
    images_by_model: dict[str, Images] | None = None


class AMDMPipeline(PipelineParts):
    """Models of a preset, aggregated while sampling; the first of them draws the picture.

    Threads may call one pipeline, and a callback may call it again: the state of a call is handed to the layers with
    it, and pictures are those of calls in turn. With model offload on, calls wait for each other.

    Args:
        models: loaded models. settings: the preset's. profile, preset: their names, for ``save_pretrained``.
    """

    def __init__(self, models: ModelSet, settings: MethodSettings, profile: str, preset: str) -> None:
        super().__init__()
        self.register_to_config(method=preset)  # the base class reads its configuration on every assignment
        self.models, self.settings, self.profile, self.preset = models, settings, profile, preset
        self.image_processor = VaeImageProcessor(vae_scale_factor=models.latent_scale)
        self._offload_to: torch.device | None = None
        self._held: tuple[str, ...] = ()
        self._scheduler = None
        self._single_use = False
        self._merged = {}
        self._calls: set[Call] = set()

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        name_or_path: str | os.PathLike[str],
        preset: str | None = None,
        *,
        overrides: Sequence[str] | Mapping[str, Any] = (),
        dtype: torch.dtype | None = None,
        torch_dtype: torch.dtype | None = None,
        device: str = "cpu",
        weights_dir: str | os.PathLike[str] | None = None,
        random_weights: bool = False,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> AMDMPipeline:
        """A preset of a profile (``"mini"``, ``"paper"``), or what :meth:`save_pretrained` wrote: a folder, or a
        repository ``"user/name"`` of the Hub.

        Args:
            preset: a method of the profile, by default ``"interactdiffusion+migc"``; a saved folder has its own.
            dtype: of the networks; latents are float32 whatever it is. By default float32, or what was saved.
            torch_dtype: the same, as diffusers calls it.
            overrides: fields and values, ``{"aggregation.s": 5}``, or texts ``"aggregation.s=5"`` (see
                :meth:`amdm.presets.profile.Profile.method`).
            weights_dir, random_weights: see :class:`amdm.model_set.LoadOptions`.
            revision: branch, tag or commit of a repository. cache_dir, local_files_only, token: as of huggingface_hub.

        Raises:
            InputError: for an unknown name or field, and for weights that are absent or altered.
        """
        texts, name, dtype = override_texts(overrides), str(name_or_path), require_dtype(dtype, torch_dtype)
        if revision is not None and (name in PROFILES or Path(name).is_dir()):
            raise InputError(f"is of a repository; {name} is none", field="revision")
        if name in PROFILES:
            folder = None if weights_dir is None else Path(weights_dir)
            loading = LoadOptions(folder, device, dtype or torch.float32, random_weights)
            preset = preset or "interactdiffusion+migc"
            settings = load_profile(name).method(preset, texts)
            return cls(load_models(name, tuple(dict.fromkeys(settings.models)), loading), settings, name, preset)
        if not Path(name).is_dir() and not is_repository(name):
            what = f"{name!r} is neither mini, paper nor a folder, nor has it the form of a repository user/name"
            raise InputError(what, field="name_or_path")
        if preset is not None or weights_dir is not None or random_weights:
            raise InputError("a saved pipeline has its own preset and weights", field="preset")
        asked = (revision, cache_dir, local_files_only, token)
        place = Path(name) if Path(name).is_dir() else pipeline_folder(name, *asked)
        models, settings, profile, own_preset, scheduler = load_pipeline(place, texts, dtype)
        made = cls(models, settings, profile, own_preset).to(device)
        if scheduler is not None:
            made.scheduler = scheduler
        return made

    @classmethod
    def from_unets(
        cls,
        unets: Mapping[str, UNet2DConditionModel],
        parts: Any,
        aggregation: Mapping[str, Any] = MappingProxyType({}),
    ) -> AMDMPipeline:
        """Your own UNets of one latent space, aggregated; all read the caption, and the first draws the picture.

        Args:
            unets: by names of your choice. parts: whose vae, text encoder, tokenizer and schedule they share: a Stable
                Diffusion pipeline of diffusers, or anything that has these four.
            aggregation: what is to be other than the paper's, ``{"s": 5, "weights": [0.4]}``
                (:class:`amdm.aggregation.AggregationConfig`).

        Raises:
            InputError: UNets or parts do not fit together, or a field is unknown or wrong.
        """
        models = own_models(unets, parts)
        return cls(models, own_settings(unets, models, aggregation), OWN_PROFILE, "+".join(unets))

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:  # type: ignore[override]
        """Write a folder as diffusers lays one out (see :mod:`amdm.serialization`) for :meth:`from_pretrained`.

        LoRA weights are saved merged. Nothing of it is a pickle.

        Raises:
            InputError: a network or tokenizer was set that is not of the profile's kind or, of UNets of your own, that
                diffusers and transformers do not make again from its configuration; nothing is written.
        """
        self._require_held("save_pretrained")
        schedule = self._scheduler or self._target.scheduler
        save_pipeline(self.models, schedule, Path(save_directory), self._about())

    def push_to_hub(  # type: ignore[override]
        self, repo_id: str, *, private: bool | None = None, token: str | None = None, commit_message: str | None = None
    ) -> str:
        """Put what :meth:`save_pretrained` writes, with a model card, into a repository of the Hub; its address.

        Raises:
            InputError: as :meth:`save_pretrained`; the name is no repository's; the server refuses.
        """
        if not is_repository(repo_id):
            raise InputError(f"{str(repo_id)[:80]!r} has not the form user/name", field="repo_id")
        kinds = {label(name): type(model).__name__ for name, model in self.models.models.items()}
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            card = model_card(repo_id, self._about(), kinds)
            (Path(folder) / "README.md").write_text(card, encoding="utf-8")
            return upload(Path(folder), repo_id, private, token, commit_message or "Upload AMDMPipeline")

    def _about(self) -> dict[str, Any]:
        own = {"profile": self.profile, "preset": self.preset, "settings": self.settings.describe()}
        return {**own, "scheduler_set": self._scheduler is not None}

    @torch.no_grad()  # no inference mode: what is returned, or moved by offload, may be written to later
    @undisturbed()
    def __call__(
        self,
        prompt: str | Layout | Sequence[str] | Sequence[Layout] | None = None,
        layouts: Layout | Sequence[Layout] | None = None,
        interactions: Sequence[Interaction] | Sequence[Sequence[Interaction]] | None = None,
        *,
        ip_adapter_image: Any = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | Mapping[str, float] | None = None,
        negative_prompt: str | Sequence[str] | None = None,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] | None = ("latents",),
        all_models: bool = False,
        overrides: Sequence[str] | Mapping[str, Any] = (),
        **others: Any,
    ) -> AMDMPipelineOutput | tuple[Any, ...]:
        """Draw one picture a layout.

        Args:
            prompt: captions in place of those of the layouts; without layouts, captions alone. Layouts may stand here.
            layouts: what is where (boxes xyxy in [0, 1]). interactions: of all samples, or of each one.
            ip_adapter_image: a style image for all samples, or one a layout or a sample: of PIL, or an array or tensor
                of uint8 or of floats in [0, 1] (:func:`amdm.io.picture.to_pixels`).
            height, width, num_inference_steps, guidance_scale: in place of the preset's; of Python, NumPy or torch.
                guidance_scale may be by model: ``{"migc": 5.0}``.
            negative_prompt: in place of the preset's; a list holds one, or one a layout.
            num_images_per_prompt: pictures of each layout, one after the other.
            generator: one for all samples or one a sample; sample k depends on its own generator alone.
            latents: standard normal x_T (B, C, h, w) of the target (of ``switch``: of the model that begins). All other
                random numbers come from the generator or, without one, from these: the same latents, the same picture.
            output_type: "pil", "np" (B, H, W, 3 in [0, 1]), "pt" (B, 3, H, W in [0, 1]) or "latent".
            callback_on_step_end: called with (pipeline, step, timestep, {"latents"}); latents that it returns are
                where the target goes on. ``pipeline._interrupt = True`` ends the sampling of this call; set outside of
                a call, from another thread, that of every call that is under way.
            callback_on_step_end_tensor_inputs: what the callback gets: "latents"; "geometry"
                (:meth:`amdm.sampler.Step.geometry`, empty where nothing was aggregated). ``PipelineCallback`` names it.
            all_models: every model draws to the end, and its pictures are returned too.
            overrides: of any field of the preset, for this call; see :meth:`from_pretrained`.
            others: none. What other pipelines take and this one would ignore is refused.

        Raises:
            InputError: before any model runs, for settings or conditions that cannot be, or that would be ignored.
        """
        wanted = check_output(output_type, callback_on_step_end, callback_on_step_end_tensor_inputs, others)
        chosen = sample_layouts(prompt, layouts, interactions, num_images_per_prompt)
        copies = plain(num_images_per_prompt)
        negatives = sample_negatives(negative_prompt, len(chosen) // copies, copies)
        settings = call_settings(
            self.settings,
            overrides,
            guidance_scale,
            num_inference_steps,
            height=height,
            width=width,
            negative_prompt=negative_prompt if negatives is None else None,
        )
        check_latents(latents, (len(chosen), *self.models.latent_shape(settings.height, settings.width)))
        keys, styles = sample_keys(generator, len(chosen), latents), style_images(ip_adapter_image, len(chosen), copies)
        method, target = Method(self.preset, settings, self.models, self._scheduler), settings.models[0]
        with self._holding(), running(self, settings, self._calls) as call:
            self._hold("unet", "encoder")
            bound = method.bind(chosen, keys, styles, latents, negatives)
            self._hold("unet")
            told = partial(tell, self, callback_on_step_end, wanted, target)
            result = self._sampled(method, bound, call, told, all_models)
            self._hold("vae")
            shown = result.latents if all_models else {target: result.latents[target]}
            drawn = {name: self._decoded(found, name, output_type) for name, found in shown.items()}
        images, whole = {label(name): one for name, (one, _) in drawn.items()}, result.finite & drawn[target][1]
        output = AMDMPipelineOutput(images[label(target)], whole.tolist(), images if all_models else None)
        return output if return_dict else output.to_tuple()

    def _sampled(
        self, method: Method, bound: Sequence[BoundModel], call: Call, told: Callable[[Step], None], all_models: bool
    ) -> SamplingResult:
        order = getattr(bound[0].scheduler, "order", 1)  # 2 of Heun: two evaluations a step, but one in the last
        with self.progress_bar(total=call.settings.steps) as progress:

            def step_done(step: Step) -> bool:
                progress.update((step.index + order) // order - progress.n)
                told(step)
                return call.interrupted

            return method.run(bound, step_done, all_models)

    def to(self, *args: Any, **kwargs: Any) -> AMDMPipeline:
        """Move every network: ``to("cuda")``, ``to(torch.float16)`` (the UNets and encoders; latents stay float32)."""
        self._require_idle("to")
        self._require_held("to")
        kwargs.pop("silence_dtype_warnings", None)  # of diffusers, whose warnings move() leaves out
        for one in (*args, *kwargs.values()):
            if isinstance(one, str | torch.device):
                require_device(one)
            elif isinstance(one, torch.dtype):
                require_dtype(one)
        for module in self.models.modules().values():
            move(module, *args, **kwargs)
        self.models.forget_texts()
        return self

    def enable_model_cpu_offload(self, gpu_id: int | None = None, device: torch.device | str = "cuda") -> None:  # type: ignore[override]
        """Keep on the device only what a phase needs: encoders and UNets to encode, UNets to sample, then the VAE."""
        self._require_idle("enable_model_cpu_offload")
        if self._single_use:
            raise InputError("cannot be with enable_single_use", field="enable_model_cpu_offload")
        self._offload_to = require_device(device if gpu_id is None else f"{require_device(device).type}:{gpu_id}")
        self._hold()

    def enable_single_use(self) -> None:
        """Give back the memory of encoders and UNets after their last use: for one call, and then no more.

        Raises:
            InputError: model offload is on, which moves them back and forth.
        """
        self._require_idle("enable_single_use")
        if self._offload_to is not None:
            raise InputError("cannot be with model offload", field="enable_single_use")
        self._single_use = True

    def _hold(self, *kinds: str) -> None:
        """With offload on, put networks of these kinds on the device and all others in main memory."""
        self._held = kinds
        if self._single_use and kinds in RELEASED:
            self.models.release(*RELEASED[kinds])
        if self._offload_to is None:
            return
        for name, module in self.models.modules().items():
            kind = "unet" if name.endswith(".unet") else "vae" if name.startswith("vae") else "encoder"
            module.to(self._offload_to if kind in kinds else "cpu")
        self.models.forget_texts()

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Around a call: with offload on no other one runs, and networks go back to where the call found them."""
        with _OFFLOADING if self._offload_to is not None or self._single_use else nullcontext():
            if self._single_use:
                self._require_held("enable_single_use")
            before = self._held
            try:
                yield
            finally:
                self._hold(*before)

    @property
    def interrupt(self) -> bool:
        """Whether the call that this code runs in was asked to end."""
        call = call_of(self)
        return call is not None and call.interrupted

    @property
    def _interrupt(self) -> bool:
        return self.interrupt

    @_interrupt.setter
    def _interrupt(self, value: bool) -> None:
        call = call_of(self)
        for one in tuple(self._calls) if call is None else (call,):
            one.interrupted = bool(value)

    @property
    def guidance_scale(self) -> float:
        """Of the target, in the call that this code runs in or, outside of one, in the preset."""
        call = call_of(self)
        settings = self.settings if call is None else call.settings
        return settings.settings[settings.models[0]].guidance_scale

    @property
    def num_timesteps(self) -> int:
        """T, of the call that this code runs in or, outside of one, of the preset."""
        call = call_of(self)
        return (self.settings if call is None else call.settings).steps

    @property
    def device(self) -> torch.device:
        """Where sampling runs."""
        return self.models.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the first model's UNet."""
        return self.models.models[self.settings.models[0]].unet.dtype

    def _decoded(self, latents: torch.Tensor, name: str, output_type: str) -> tuple[Images, torch.Tensor]:
        """Pictures, and which of them are free of NaN and infinity (B,)."""
        if output_type == "latent":
            return latents, finite_samples(latents)
        pictures = self.models.decode(latents, name.partition("#")[0]).float()
        shown = self.image_processor.postprocess(pictures, output_type=output_type)
        return shown, finite_samples(pictures).to(latents.device)
