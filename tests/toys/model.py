"""A control model in one file, as a user would add it: boxes are a push on the base's prediction."""

from __future__ import annotations

import copy

import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from pydantic import Field

from amdm.models.control import ControlModel, GuidedDenoiser, SampleRequest
from amdm.models.settings import ModelSettings
from amdm.models.spec import ModelSpec, PublicWeights
from amdm.models.text import PhraseEncoder


class PushSettings(ModelSettings):
    """push: what is taken off the prediction inside the boxes."""

    push: float = Field(default=0.1, ge=0, le=1)


class Push(ControlModel):
    """A Stable Diffusion UNet whose prediction is lowered inside the boxes of all instances."""

    name = "push"
    reads = frozenset({"caption", "instances"})

    def __init__(
        self, unet: UNet2DConditionModel, text: PhraseEncoder, scheduler: SchedulerMixin, *, push: float = 0.1
    ) -> None:
        super().__init__(unet, text, scheduler)
        self.push = push

    def bind(self, request: SampleRequest) -> GuidedDenoiser:
        """Captions and negative prompt, encoded once."""
        model = copy.copy(self)
        context = self.text.encode(request.captions())[0].to(self.unet.device, self.unet.dtype)

        def predict(x: torch.Tensor, t: torch.Tensor, i: int) -> torch.Tensor:
            found = model.unet(x.to(model.unet.dtype), t, context, return_dict=False)[0]
            for row, layout in zip(found, (*request.layouts, *request.layouts), strict=True):
                for x1, y1, x2, y2 in (one.box for one in layout.placed()):
                    height, width = row.shape[-2:]
                    row[:, int(height * y1) : int(height * y2), int(width * x1) : int(width * x2)] -= model.push
            return found

        return GuidedDenoiser(predict, request.guidance_scale)


SPEC = ModelSpec(
    Push,
    PublicWeights("sd14-unet"),
    mini=lambda mini: Push(mini.base.unet, mini.text, mini.base.scheduler),
)
