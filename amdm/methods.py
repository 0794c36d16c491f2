"""Methods by name: models of a profile, bound to their settings, from layouts to pictures."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from amdm.config import MethodSettings, Profile, load_profile
from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from amdm.models.control import ControlModel, SampleRequest
from amdm.noise import initial_noise
from amdm.sampler import Branch, Step, sample


@dataclass(frozen=True)
class GeneratedBatch:
    """Pictures uint8 RGB (B, H, W, 3), which samples had finite latents, evaluations by model, seconds by part."""

    images: np.ndarray
    finite: list[bool]
    evaluations: dict[str, int]
    seconds: dict[str, float]


@dataclass(frozen=True)
class ModelSet:
    """Models of a profile on one autoencoder. vae_scale: latents · vae_scale is what the autoencoder decodes."""

    models: dict[str, ControlModel]
    vae: Any
    vae_scale: float
    latent_shape: tuple[int, int, int]


class Method:
    """One method, ready to generate.

    A sample depends on its key, its layout and the settings; across batch compositions it agrees to rounding.
    """

    def __init__(self, name: str, settings: MethodSettings, profile: Profile, models: ModelSet) -> None:
        self.name, self.settings, self.profile, self.models = name, settings, profile, models
        self.config = settings.aggregation.config() if settings.aggregation else None
        if self.config is not None:
            self.config.check_models(len(settings.models))
            self.config.steps(self.steps)

    @property
    def steps(self) -> int:
        """T: the target's."""
        return self.profile.models[self.settings.models[0]].num_inference_steps

    @torch.inference_mode()
    def generate(
        self, layouts: Sequence[Layout], keys: Sequence[str], on_step: Callable[[Step], bool | None] | None = None
    ) -> GeneratedBatch:
        """One picture a layout; ``keys`` are the texts that random numbers derive from (see amdm.noise)."""
        started = time.perf_counter()
        if self.settings.phrases == "category":
            layouts = [category_only(layout) for layout in layouts]
        branches = self._branches(tuple(layouts), tuple(keys))
        bound = time.perf_counter()
        result = sample(branches, self.steps, self.config, on_step)
        sampled = time.perf_counter()
        latents = result.latents[branches[0].name]
        images = to_uint8(self.models.vae.decode(latents * self.models.vae_scale).sample)
        seconds = {"bind": bound - started, "sample": sampled - bound, "decode": time.perf_counter() - sampled}
        return GeneratedBatch(images, result.finite.tolist(), result.evaluations, seconds)

    def _branches(self, layouts: tuple[Layout, ...], keys: tuple[str, ...]) -> list[Branch]:
        branches: list[Branch] = []
        for k, name in enumerate(self.settings.models):
            model = self.models.models[name]
            request = SampleRequest(
                layouts,
                keys,
                self.steps,
                self.profile.models[name].guidance_scale,
                self.profile.negative_prompt,
                self.profile.height,
                self.profile.width,
            )
            # A second copy of a model draws noise of its own, as another model would.
            label = name if self.settings.models.count(name) == 1 or k == 0 else f"{name}#{k + 1}"
            shared = self.config is not None and self.config.initial_noise == "shared"
            source = self.settings.models[0] if shared else label
            noise = initial_noise(keys, source, self.models.latent_shape)
            branches.append(Branch(label, model.bind(request), copy.deepcopy(model.scheduler), noise))
        return branches


def load_methods(profile_name: str, names: Sequence[str]) -> dict[str, Method]:
    """The named methods of a profile; weights are loaded once. Raises InputError for what is unknown or absent."""
    profile = load_profile(profile_name)
    settings = {name: profile.method(name) for name in names}
    models = load_models(profile_name)
    return {name: Method(name, one, profile, models) for name, one in settings.items()}


def load_models(profile_name: str) -> ModelSet:
    """The models of a profile with their weights."""
    if profile_name != "mini":
        raise InputError("checkpoints of the full-size models cannot be loaded by this version", field="profile")
    from amdm.mini.build import LATENT_CHANNELS, LATENT_SIZE
    from amdm.mini.models import MiniModels

    mini = MiniModels.load()
    models: tuple[ControlModel, ...] = (mini.base, mini.interactdiffusion, mini.migc)
    named = {model.name: model for model in models}
    return ModelSet(named, mini.vae, 1.0, (LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE))


def weight_digests(profile_name: str) -> dict[str, str]:
    """SHA-256 of every weight file of a profile."""
    if profile_name != "mini":
        raise InputError("checkpoints of the full-size models cannot be loaded by this version", field="profile")
    from amdm.mini.models import weight_digests as mini_digests

    return mini_digests()


def paper_profile_available() -> tuple[bool, str]:
    """Whether the paper's profile can run here, and why not."""
    if not torch.cuda.is_available():
        return False, "there is no CUDA device"
    return False, "this version cannot load the public checkpoints yet"


def category_only(layout: Layout) -> Layout:
    """The layout with "a <category>" for "a <colour> <category>"; the caption keeps its colours."""

    def plain(one: Instance) -> Instance:
        article, _, rest = one.phrase.split(" ", 2)
        return replace(one, phrase=f"{article} {rest}")

    triples = tuple(Interaction(plain(t.subject), t.action, plain(t.object)) for t in layout.interactions)
    return replace(layout, instances=tuple(map(plain, layout.instances)), interactions=triples)


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """Decoded pictures (B, 3, H, W) in [−1, 1] → uint8 RGB (B, H, W, 3)."""
    scaled = ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())
