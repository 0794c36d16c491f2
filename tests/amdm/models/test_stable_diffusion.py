"""The caption-only baseline, and one base under several UNets."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel

from amdm.layout import Instance, Layout
from amdm.mini.sizes import UNET, build_scheduler, build_text_encoder, build_tokenizer
from amdm.models.control import SampleRequest
from amdm.models.shared_base import share_base
from amdm.models.stable_diffusion import StableDiffusion
from amdm.models.text import PhraseEncoder
from tests.closeness import assert_same, to_double

pytestmark = pytest.mark.numeric


def _predict(model: StableDiffusion, *layouts: Layout, scale: float = 3.0) -> torch.Tensor:
    x = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(1)).expand(len(layouts), -1, -1, -1)
    with torch.no_grad():
        return model.bind(SampleRequest(layouts, ("k",) * len(layouts), 10, scale, "", 64, 64))(x, 500, 0)


def test_the_caption_alone_counts() -> None:
    torch.manual_seed(0)
    text = PhraseEncoder(build_text_encoder().eval(), build_tokenizer())
    model = to_double(StableDiffusion(UNet2DConditionModel(**UNET).eval(), text, build_scheduler()))
    placed = Layout("a red circle", (Instance("a square", (0.1, 0.1, 0.5, 0.5)),))
    bare, other = Layout("a red circle"), Layout("a blue square")
    together = _predict(model, placed, bare, other)
    assert_same(together[0], together[1])
    assert (together[0] - together[2]).abs().max() > 1e-4
    assert_same(together[2:], _predict(model, other))


def test_guidance_of_zero_is_the_negative_prompt() -> None:
    torch.manual_seed(0)
    text = PhraseEncoder(build_text_encoder().eval(), build_tokenizer())
    model = to_double(StableDiffusion(UNet2DConditionModel(**UNET).eval(), text, build_scheduler()))
    unconditional = _predict(model, Layout("a red circle"), scale=0.0)
    assert_same(unconditional, _predict(model, Layout(""), scale=0.0))


def test_equal_parameters_become_one_and_others_stay() -> None:
    first, second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        second.bias.add_(1)
    assert share_base(first, second) == 4 * 4 * 4
    assert second.weight is first.weight and second.bias is not first.bias
    assert share_base(first, second) == 0
    with torch.no_grad():
        first.weight.zero_()
    assert second.weight.abs().sum() == 0
