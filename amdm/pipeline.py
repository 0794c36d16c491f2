"""Aggregation behind the interface of a diffusers pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from PIL import Image

from amdm.config import MethodSettings, load_profile
from amdm.errors import InputError
from amdm.layout import Interaction, Layout
from amdm.loading import Loading, ModelSet, fresh_models, load_models, require_device
from amdm.methods import Method
from amdm.pipeline_inputs import sample_keys, sample_layouts
from amdm.sampler import Step
from amdm.saved import fill_models, read_index, save_models

Images = list[Image.Image] | np.ndarray | torch.Tensor
OnStepEnd = Callable[["AMDMPipeline", int, float, dict[str, Any]], dict[str, Any] | None]


@dataclass
class AMDMPipelineOutput(BaseOutput):
    """images: the target's. finite: which samples' latents stayed finite; a picture whose did not is not worth a look.

    images_by_model: every model's own pictures, where they were asked for.
    """

    images: Images
    finite: list[bool]
    images_by_model: dict[str, Images] | None = None


class AMDMPipeline(DiffusionPipeline):
    """Models of a preset, aggregated while sampling; the first of them draws the picture.

    Args:
        models: loaded models. settings: the preset's. profile, preset: their names, for ``save_pretrained``.
    """

    def __init__(self, models: ModelSet, settings: MethodSettings, profile: str, preset: str) -> None:
        super().__init__()
        self.register_to_config(method=preset)  # the base class reads its configuration on every assignment
        self.models, self.settings, self.profile, self.preset = models, settings, profile, preset
        self.image_processor = VaeImageProcessor(vae_scale_factor=models.latent_scale)
        self._interrupt = False
        self._offload_to: torch.device | None = None

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        name_or_path: str | os.PathLike[str],
        preset: str | None = None,
        *,
        overrides: Sequence[str] = (),
        dtype: torch.dtype | None = None,
        torch_dtype: torch.dtype | None = None,
        device: str = "cpu",
        weights_dir: str | os.PathLike[str] | None = None,
        random_weights: bool = False,
    ) -> AMDMPipeline:
        """A preset of a profile (``"mini"``, ``"paper"``), or a folder that :meth:`save_pretrained` wrote.

        Args:
            preset: a method of the profile, by default ``"interactdiffusion+migc"``; a saved folder has its own.
            dtype: of the networks; latents are float32 whatever it is. By default float32, or what was saved.
            torch_dtype: the same, as diffusers calls it.
            overrides: ``"<field>=<value>"`` (see :meth:`amdm.config.Profile.method`).
            weights_dir, random_weights: see :class:`amdm.loading.Loading`.

        Raises:
            InputError: for an unknown name or field, and for weights that are absent or altered.
        """
        if isinstance(overrides, str):
            raise InputError(f"is one text; it must be a list of them: [{overrides!r}]", field="overrides")
        dtype = dtype or torch_dtype
        folder = None if weights_dir is None else Path(weights_dir)
        loading = Loading(folder, device, dtype or torch.float32, random_weights)
        if str(name_or_path) in ("mini", "paper"):
            profile, preset = str(name_or_path), preset or "interactdiffusion+migc"
            settings = load_profile(profile).method(preset, overrides)
            models = load_models(profile, tuple(dict.fromkeys(settings.models)), loading)
            return cls(models, settings, profile, preset)
        if not Path(name_or_path).is_dir():
            raise InputError(f"{str(name_or_path)!r} is neither mini, paper nor a folder", field="name_or_path")
        if preset is not None or weights_dir is not None or random_weights:
            raise InputError("a saved pipeline has its own preset and weights", field="preset")
        saved = Path(name_or_path)
        index = read_index(saved)
        settings = MethodSettings.read(index["settings"], overrides)
        models = fresh_models(index["profile"], tuple(dict.fromkeys(settings.models)))
        fill_models(models, saved, index, dtype)
        return cls(models, settings, index["profile"], index["preset"]).to(device)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:  # type: ignore[override]
        """Settings and weights in one folder that :meth:`from_pretrained` reads; nothing of it is a pickle."""
        about = {"profile": self.profile, "preset": self.preset, "settings": self.settings.describe()}
        save_models(self.models, Path(save_directory), about)

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        layouts: Layout | Sequence[Layout] | None = None,
        interactions: Sequence[Interaction] | Sequence[Sequence[Interaction]] | None = None,
        *,
        ip_adapter_image: Image.Image | Sequence[Image.Image] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        all_models: bool = False,
    ) -> AMDMPipelineOutput | tuple[Any, ...]:
        """Draw one picture a layout.

        Args:
            prompt: captions in place of those of the layouts; without layouts, captions alone.
            layouts: what is where (boxes xyxy in [0, 1]). interactions: of all samples, or of each one.
            ip_adapter_image: a style image for all samples, or one for each.
            height, width, num_inference_steps, guidance_scale, negative_prompt: in place of the preset's.
            num_images_per_prompt: pictures of each layout, one after the other.
            generator: one for all samples or one a sample; sample k depends on its own generator alone.
            latents: the target's x_T (B, C, h, w), standard normal.
            output_type: "pil", "np" (B, H, W, 3 in [0, 1]), "pt" (B, 3, H, W in [0, 1]) or "latent".
            callback_on_step_end: called with (pipeline, step, timestep, {"latents"}); latents that it returns are
                where the target goes on. ``pipeline._interrupt = True`` ends the sampling.
            callback_on_step_end_tensor_inputs: what the callback gets; there is "latents".
            all_models: every model draws to the end, and its pictures are returned too.

        Raises:
            InputError: before any model runs, for settings or conditions that cannot be, or that would be ignored.
        """
        if output_type not in ("pil", "np", "pt", "latent"):
            raise InputError(f"{output_type!r} is none of pil, np, pt, latent", field="output_type")
        if callback_on_step_end is not None and not callable(callback_on_step_end):
            raise InputError("cannot be called", field="callback_on_step_end")
        if unknown := [name for name in callback_on_step_end_tensor_inputs if name != "latents"]:
            raise InputError("there is only latents", field=f"callback_on_step_end_tensor_inputs.{unknown[0]}")
        chosen = sample_layouts(prompt, layouts, interactions, num_images_per_prompt)
        settings = self._settings(height, width, num_inference_steps, guidance_scale, negative_prompt)
        method = Method(self.preset, settings, self.models)
        styles = [ip_adapter_image] * len(chosen) if isinstance(ip_adapter_image, Image.Image) else ip_adapter_image
        self._interrupt = False
        self._hold("unet", "encoder")
        expected = (len(chosen), *self.models.latent_shape(settings.height, settings.width))
        if latents is not None and not isinstance(latents, torch.Tensor):
            raise InputError(f"is a {type(latents).__name__}, and no tensor", field="latents")
        if latents is not None and tuple(latents.shape) != expected:
            raise InputError(f"has the shape {tuple(latents.shape)}; it must be {expected}", field="latents")
        branches = method.branches(chosen, sample_keys(generator, len(chosen)), styles, latents)
        self._hold("unet")
        with self.progress_bar(total=settings.steps) as progress:

            def step_done(step: Step) -> bool:
                progress.update()
                if callback_on_step_end is not None:
                    self._call_back(callback_on_step_end, step, settings.models[0])
                return self._interrupt

            result = method.run(branches, step_done, all_models)
        self._hold("vae")
        target = settings.models[0]
        shown = result.latents if all_models else {target: result.latents[target]}
        images = {name: self._decoded(found, name, output_type) for name, found in shown.items()}
        self._hold()
        output = AMDMPipelineOutput(images[target], result.finite.tolist(), images if all_models else None)
        return output if return_dict else output.to_tuple()

    def to(self, *args: Any, **kwargs: Any) -> AMDMPipeline:
        """Move every network: ``to("cuda")``, ``to(torch.float16)`` (the UNets and encoders; latents stay float32)."""
        for one in (*args, *kwargs.values()):
            if isinstance(one, str | torch.device):
                require_device(one)
        for module in self.models.modules().values():
            module.to(*args, **kwargs)
        self.models.forget_texts()
        return self

    def enable_model_cpu_offload(self, gpu_id: int | None = None, device: torch.device | str = "cuda") -> None:  # type: ignore[override]
        """Keep on the device only what a phase needs: encoders and UNets to encode, UNets to sample, then the VAE."""
        self._offload_to = require_device(device if gpu_id is None else f"{torch.device(device).type}:{gpu_id}")
        self._hold()

    def _hold(self, *kinds: str) -> None:
        """With offload on, put networks of these kinds on the device and all others in main memory."""
        if self._offload_to is None:
            return
        for name, module in self.models.modules().items():
            kind = "unet" if name.endswith(".unet") else "vae" if name.startswith("vae") else "encoder"
            module.to(self._offload_to if kind in kinds else "cpu")
        self.models.forget_texts()

    @property
    def interrupt(self) -> bool:
        """Whether a callback asked for the end."""
        return self._interrupt

    @property
    def device(self) -> torch.device:
        """Where sampling runs."""
        return self.models.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the first model's UNet."""
        return self.models.models[self.settings.models[0]].unet.dtype

    @property
    def components(self) -> dict[str, Any]:
        """Every network by name."""
        return dict(self.models.modules())

    def _settings(
        self,
        height: int | None,
        width: int | None,
        num_inference_steps: int | None,
        guidance_scale: float | None,
        negative_prompt: str | None,
    ) -> MethodSettings:
        own = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}
        given = {name: value for name, value in own.items() if value is not None}
        whole = {"height": height, "width": width, "negative_prompt": negative_prompt}
        changes: dict[str, Any] = {name: value for name, value in whole.items() if value is not None}
        return self.settings.changed({**changes, "settings": {name: given for name in self.settings.models}})

    def _call_back(self, callback: OnStepEnd, step: Step, target: str) -> None:
        before = step.leaving[target]
        returned = callback(self, step.index, step.timestep, {"latents": before}) or {}
        if not isinstance(returned, dict):
            raise InputError(f"returned a {type(returned).__name__}, and no dictionary", field="callback_on_step_end")
        if unknown := [name for name in returned if name != "latents"]:
            raise InputError("is no tensor that a callback can change", field=unknown[0])
        changed = returned.get("latents", before)
        if not isinstance(changed, torch.Tensor) or changed.shape != before.shape:
            raise InputError(f"returned no tensor of the shape {tuple(before.shape)}", field="callback_on_step_end")
        step.leaving[target] = changed

    def _decoded(self, latents: torch.Tensor, name: str, output_type: str) -> Images:
        if output_type == "latent":
            return latents
        pictures = self.models.decode(latents, name.partition("#")[0])
        return self.image_processor.postprocess(pictures.float(), output_type=output_type)
