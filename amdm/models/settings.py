"""The settings of each model, without the model: command lines read them before any network is imported."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from amdm.io.strict import Strict


class ModelSettings(Strict):
    """Of one model, alone or as a member of a method. A subclass adds the model's own options, by their names there."""

    num_inference_steps: int = Field(gt=0, le=1000)
    guidance_scale: float = Field(ge=0, le=100)
    scheduler: Literal["ddim", "euler"] = "ddim"


class InteractDiffusionSettings(ModelSettings):
    """fuser_beta: share of the steps in which the grounding is on (scheduled sampling)."""

    fuser_beta: float = Field(default=1.0, ge=0, le=1)


class GLIGENSettings(ModelSettings):
    """fuser_beta: share of the steps in which the grounding is on (scheduled sampling)."""

    fuser_beta: float = Field(default=0.3, ge=0, le=1)


class MIGCSettings(ModelSettings):
    """MIGC works in the steps i ≤ migc_steps, then its naive fuser while i ≤ naive_fuser_steps.

    and_augmentation: phrases repeated and joined by ", and ", as MIGC's benchmark script does.
    """

    migc_steps: int = Field(default=20, ge=-1, le=1000)
    naive_fuser_steps: int = Field(default=-1, ge=-1, le=1000)
    and_augmentation: bool = False


class IPAdapterSettings(ModelSettings):
    """scale: weight of the attention to the style image."""

    scale: float = Field(default=0.8, ge=0, le=10)
