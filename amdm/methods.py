"""Methods by name: models of a profile, bound to their settings, from layouts to pictures."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from amdm.loading import load_models
from amdm.mini.vocabulary import COLOURS
from amdm.model_set import LoadOptions, ModelSet
from amdm.models.control import ControlModel, SampleRequest, check_conditioning
from amdm.models.geometry import box_mask
from amdm.models.settings import ModelSettings
from amdm.noise import initial_noise, keyed_generator
from amdm.presets.profile import load_profile
from amdm.presets.settings import MethodSettings
from amdm.process_state import undisturbed
from amdm.sampler import BoundModel, Callback, SamplingResult, finite_samples


@dataclass(frozen=True)
class GeneratedBatch:
    """Pictures uint8 RGB (B, H, W, 3), whose latents and pixels were finite, evaluations by model, seconds by part."""

    images: np.ndarray
    finite: list[bool]
    evaluations: dict[str, int]
    seconds: dict[str, float]


class Method:
    """One method, ready to generate.

    A sample depends on its key, its layout and the settings; across batch compositions it agrees to rounding. Threads
    may share a method: nothing of a call is kept.

    Args:
        scheduler: of every model, in place of those that the settings name; calls use copies.
    """

    def __init__(
        self, name: str, settings: MethodSettings, models: ModelSet, scheduler: SchedulerMixin | None = None
    ) -> None:
        self.name, self.settings, self.models, self.scheduler = name, settings, models, scheduler
        self.composition = settings.composition

    @torch.inference_mode()
    @undisturbed()
    def generate(
        self,
        layouts: Sequence[Layout],
        keys: Sequence[str],
        on_step: Callback | None = None,
        styles: Sequence[Image.Image] | None = None,
    ) -> GeneratedBatch:
        """One picture a layout; ``keys`` are the texts that random numbers derive from (see amdm.noise).

        styles: a style image for each sample, where a model reads one.
        """
        started = time.perf_counter()
        bound = self.bind(layouts, keys, styles)
        ready = time.perf_counter()
        result = self.run(bound, on_step)
        sampled = time.perf_counter()
        decoded = self.models.decode(result.latents[bound[0].name], self.settings.models[0])
        whole = (result.finite & finite_samples(decoded)).tolist()
        images = to_uint8(decoded)
        seconds = {"bind": ready - started, "sample": sampled - ready, "decode": time.perf_counter() - sampled}
        return GeneratedBatch(images, whole, result.evaluations, seconds)

    def run(
        self, bound: Sequence[BoundModel], on_step: Callback | None = None, all_models: bool = False
    ) -> SamplingResult:
        """Final latents of bound models; with ``all_models`` every one goes on to a picture of its own."""
        return self.composition.sample(bound, self.settings.steps, on_step, all_models)

    @undisturbed()
    def bind(
        self,
        layouts: Sequence[Layout],
        keys: Sequence[str],
        styles: Sequence[Image.Image] | None = None,
        latents: torch.Tensor | None = None,
        negative_prompts: Sequence[str] | None = None,
    ) -> list[BoundModel]:
        """The method's models with their conditions bound, schedulers and initial noise.

        Args:
            styles: a style image for each sample. latents: x_T (B, C, h, w), standard normal, of the target, or of the
                model that the picture begins with, where that is another one (``switch``).
            negative_prompts: one for each sample, in place of the settings'.

        Raises:
            InputError: for conditions that no model would read, or that one cannot hold.
        """
        names, chosen = self.settings.models, self.settings.settings
        if self.settings.phrases == "category":
            layouts = [category_only(layout) for layout in layouts]
        if self.settings.noise_seed is not None:
            keys = [f"same/{self.settings.noise_seed}"] * len(keys)
        check_conditioning([self.models.models[name] for name in names], layouts, styles, self.settings.ignores)
        shape = self.models.latent_shape(self.settings.height, self.settings.width)
        negative = self.settings.negative_prompt if negative_prompts is None else tuple(negative_prompts)
        reads_boxes = self.composition.reads_boxes
        inside = box_mask(layouts, shape[1:]).to(self.models.device) if reads_boxes else None
        bound: list[BoundModel] = []
        for k, name in enumerate(names):
            model = configured(self.models.models[name], chosen[name])
            request = SampleRequest(
                layouts=tuple(layouts),
                keys=tuple(keys),
                num_inference_steps=self.settings.steps,
                guidance_scale=chosen[name].guidance_scale,
                negative_prompt=negative,
                height=self.settings.height,
                width=self.settings.width,
                styles=tuple(styles) if styles is not None else None,
            )
            # A second copy of a model draws noise of its own, as another model would.
            label = name if names.count(name) == 1 or k == 0 else f"{name}#{k + 1}"
            shared = self.composition.shares_noise
            if latents is not None and (shared or k == self.composition.starts_from(self.settings.steps)):
                noise = latents.to(self.models.device, torch.float32)
            else:
                noise = initial_noise(keys, names[0] if shared else label, shape).to(self.models.device)
            scheduler = scheduler_of(model, chosen[name]) if self.scheduler is None else copy.deepcopy(self.scheduler)
            drawn = [keyed_generator(key, label, "scheduler") for key in keys]
            bound.append(BoundModel(label, model.bind(request), scheduler, noise, drawn, inside))
        return bound


def load_methods(
    profile_name: str, names: Sequence[str], overrides: Sequence[str] = (), loading: LoadOptions | None = None
) -> dict[str, Method]:
    """The named methods of a profile; weights are loaded once. Raises InputError for what is unknown or absent."""
    settings = load_profile(profile_name).several(names, overrides)
    wanted = dict.fromkeys(model for one in settings.values() for model in one.models)
    models = load_models(profile_name, tuple(wanted), loading or LoadOptions())
    return {name: Method(name, one, models) for name, one in settings.items()}


def configured(model: ControlModel, settings: ModelSettings) -> ControlModel:
    """The model (its weights are not copied) with the options of its own that the settings hold."""
    model = copy.copy(model)
    for field in type(settings).model_fields.keys() - ModelSettings.model_fields.keys():
        assert hasattr(model, field), f"{model.name} has no option {field}"
        setattr(model, field, getattr(settings, field))
    return model


def scheduler_of(model: ControlModel, settings: ModelSettings) -> SchedulerMixin:
    """A scheduler instance of its own, on the model's noise schedule."""
    if settings.scheduler == "euler":
        # SD's published configuration names no spacing; Euler's default is linspace, and so it is in MIGC's benchmark.
        return EulerDiscreteScheduler.from_config(model.scheduler.config, timestep_spacing="linspace")
    return copy.deepcopy(model.scheduler)


def category_only(layout: Layout) -> Layout:
    """The layout with "a <category>" for "a <colour> <category>"; the caption keeps its colours.

    Raises:
        InputError: a phrase of another form, of which it is not known what names its colour.
    """

    def plain(one: Instance) -> Instance:
        words = one.phrase.split(" ", 2)
        if len(words) < 3 or words[1] not in COLOURS or not words[2].strip():
            known = "|".join(COLOURS)
            raise InputError(
                f"{one.phrase!r} is not 'a <{known}> <category>', as phrases=category needs", field="phrase"
            )
        return replace(one, phrase=f"{words[0]} {words[2]}")

    triples = tuple(Interaction(plain(t.subject), t.action, plain(t.object)) for t in layout.interactions)
    return replace(layout, instances=tuple(map(plain, layout.instances)), interactions=triples)


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """Decoded pictures (B, 3, H, W) in [−1, 1] → uint8 RGB (B, H, W, 3)."""
    scaled = ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())
