"""Aggregation behind the interface of a diffusers pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from amdm.loading import Loading, ModelSet, fresh_models, load_models
from amdm.methods import Method
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

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        name_or_path: str | os.PathLike[str],
        preset: str | None = None,
        *,
        overrides: Sequence[str] = (),
        torch_dtype: torch.dtype | None = None,
        device: str = "cpu",
        weights_dir: str | os.PathLike[str] | None = None,
        random_weights: bool = False,
    ) -> AMDMPipeline:
        """A preset of a profile (``"mini"``, ``"paper"``), or a folder that :meth:`save_pretrained` wrote.

        Args:
            preset: a method of the profile, by default ``"interactdiffusion+migc"``; a saved folder has its own.
            overrides: ``"<field>=<value>"`` (see :meth:`amdm.config.Profile.method`).
            weights_dir, random_weights: see :class:`amdm.loading.Loading`.

        Raises:
            InputError: for an unknown name or field, and for weights that are absent or altered.
        """
        dtype = torch_dtype or torch.float32
        loading = Loading(None if weights_dir is None else Path(weights_dir), device, dtype, random_weights)
        if str(name_or_path) in ("mini", "paper"):
            profile, preset = str(name_or_path), preset or "interactdiffusion+migc"
            settings = load_profile(profile).method(preset, overrides)
            models = load_models(profile, tuple(dict.fromkeys(settings.models)), loading)
            return cls(models, settings, profile, preset)
        if preset is not None or weights_dir is not None or random_weights:
            raise InputError("a saved pipeline has its own preset and weights", field="preset")
        folder = Path(name_or_path)
        index = read_index(folder)
        settings = MethodSettings.read(index["settings"], overrides)
        models = fresh_models(index["profile"], tuple(dict.fromkeys(settings.models)))
        fill_models(models, folder, index, torch_dtype)
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
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | None = None,
        all_models: bool = False,
    ) -> AMDMPipelineOutput | tuple[Any, ...]:
        """Draw one picture a layout.

        Args:
            prompt: captions in place of those of the layouts; without layouts, captions alone.
            layouts: what is where (boxes xyxy in [0, 1]). interactions: of all samples, or of each one.
            ip_adapter_image: a style image for all samples, or one for each.
            height, width, num_inference_steps, guidance_scale, negative_prompt: in place of the preset's.
            generator: one for all samples or one a sample; sample k depends on its own generator alone.
            latents: the target's x_T (B, C, h, w), standard normal.
            output_type: "pil", "np" (B, H, W, 3 in [0, 1]), "pt" (B, 3, H, W in [0, 1]) or "latent".
            callback_on_step_end: called with (pipeline, step, timestep, {"latents"}); latents that it returns are
                where the target goes on. ``pipeline._interrupt = True`` ends the sampling.
            all_models: every model draws to the end, and its pictures are returned too.

        Raises:
            InputError: before any model runs, for settings or conditions that cannot be, or that would be ignored.
        """
        if output_type not in ("pil", "np", "pt", "latent"):
            raise InputError(f"{output_type!r} is none of pil, np, pt, latent", field="output_type")
        chosen = _layouts(prompt, layouts, interactions)
        settings = self._settings(height, width, num_inference_steps, guidance_scale, negative_prompt)
        method = Method(self.preset, settings, self.models)
        styles = [ip_adapter_image] * len(chosen) if isinstance(ip_adapter_image, Image.Image) else ip_adapter_image
        self._interrupt = False
        with self.progress_bar(total=settings.steps) as progress:

            def step_done(step: Step) -> bool:
                progress.update()
                if callback_on_step_end is not None:
                    self._call_back(callback_on_step_end, step, settings.models[0])
                return self._interrupt

            result = method.sample(
                chosen, _keys(generator, len(chosen)), step_done, styles=styles, latents=latents, all_models=all_models
            )
        target = settings.models[0]
        shown = result.latents if all_models else {target: result.latents[target]}
        images = {name: self._decoded(found, name, output_type) for name, found in shown.items()}
        output = AMDMPipelineOutput(images[target], result.finite.tolist(), images if all_models else None)
        return output if return_dict else output.to_tuple()

    def to(self, *args: Any, **kwargs: Any) -> AMDMPipeline:
        """Move every network: ``to("cuda")``, ``to(torch.float16)`` (the UNets and encoders; latents stay float32)."""
        for module in self.models.modules().values():
            module.to(*args, **kwargs)
        self.models.forget_texts()
        return self

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
        returned = callback(self, step.index, step.timestep, {"latents": step.leaving[target]}) or {}
        if unknown := [name for name in returned if name != "latents"]:
            raise InputError("is no tensor that a callback can change", field=unknown[0])
        step.leaving[target] = returned.get("latents", step.leaving[target])

    def _decoded(self, latents: torch.Tensor, name: str, output_type: str) -> Images:
        if output_type == "latent":
            return latents
        pictures = self.models.decode(latents, name.partition("#")[0])
        return self.image_processor.postprocess(pictures.float(), output_type=output_type)


def _layouts(
    prompt: str | Sequence[str] | None,
    layouts: Layout | Sequence[Layout] | None,
    interactions: Sequence[Interaction] | Sequence[Sequence[Interaction]] | None,
) -> list[Layout]:
    """One layout a sample, with the captions and interactions that were given beside them."""
    prompts = [prompt] if isinstance(prompt, str) else None if prompt is None else list(prompt)
    if layouts is None:
        if prompts is None:
            raise InputError("is needed, or layouts", field="prompt")
        layouts = [Layout(text) for text in prompts]
    chosen = [layouts] if isinstance(layouts, Layout) else list(layouts)
    if not chosen:
        raise InputError("names no sample", field="layouts")
    if prompts is not None:
        if len(prompts) not in (1, len(chosen)):
            raise InputError(f"there are {len(prompts)} for {len(chosen)} layouts", field="prompt")
        texts = prompts * len(chosen) if len(prompts) == 1 else prompts
        chosen = [replace(one, caption=text) for one, text in zip(chosen, texts, strict=True)]
    if interactions is not None:
        rows = list(interactions)
        each = [rows] * len(chosen) if all(isinstance(one, Interaction) for one in rows) else rows
        if len(each) != len(chosen):
            raise InputError(f"there are {len(each)} rows for {len(chosen)} layouts", field="interactions")
        chosen = [replace(one, interactions=tuple(row)) for one, row in zip(chosen, each, strict=True)]  # type: ignore[arg-type]
    return chosen


def _keys(generator: torch.Generator | Sequence[torch.Generator] | None, count: int) -> list[str]:
    """What random numbers derive from: a number that each sample's generator draws."""
    if generator is None or isinstance(generator, torch.Generator):
        each: list[torch.Generator | None] = [generator] * count
    else:
        each = list(generator)
        if len(each) != count:
            raise InputError(f"there are {len(each)} for {count} samples", field="generator")
    drawn = (
        torch.randint(2**62, (1,), generator=one, device=one.device if one is not None else "cpu").item()
        for one in each
    )
    return [f"generator/{number}" for number in drawn]
