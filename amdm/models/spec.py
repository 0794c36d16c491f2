"""What the rest of the package knows of a control model beside its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin

from amdm.models.control import ControlModel
from amdm.models.text import PhraseEncoder


@dataclass(frozen=True)
class PublicWeights:
    """The files of the catalogue that a model of full size is read from, by their short names.

    unet: the whole UNet or, where there is ``added``, its base alone. added: what the model adds to the base.
    towers: of each further network, by its name among the model's ``modules()``.
    vae: an autoencoder of the model's own; without one SD 1.4's decodes.
    shares_base: whether the base may be SD 1.4's, which is then held once under several models.
    """

    unet: str
    added: str = ""
    towers: Mapping[str, str] = field(default_factory=dict)
    vae: str = ""
    shares_base: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(name for name in (self.unet, self.added, *self.towers.values(), self.vae) if name)


@dataclass(frozen=True)
class ModelSpec:
    """One control model: its class, and how one is made in each profile.

    kind: the class, under whose ``name`` the model is registered, and whose ``reads`` says what it takes of a layout.
    weights: of full size, and unet: what its UNet has beside Stable Diffusion's configuration, for example
        ``{"attention_type": "gated"}``. Without weights the model is in no profile but mini.
    build: (UNet, phrase encoder, scheduler) → the model, at full size; by default the class itself. Parameters that it
        makes lie on the meta device; with ``random_weights`` they are filled there, else from ``weights``.
    mini: :class:`amdm.mini.models.MiniModels` → the mini model; None has none.
    """

    kind: type[ControlModel]
    weights: PublicWeights | None = None
    unet: Mapping[str, Any] = field(default_factory=dict)
    build: Callable[[UNet2DConditionModel, PhraseEncoder, SchedulerMixin], ControlModel] | None = None
    mini: Callable[[Any], ControlModel] | None = None
