"""GLIGEN at the mini size: grounding as diffusers' pipeline builds it, batches, scheduled sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from amdm.errors import InputError
from amdm.layout import Instance, Layout
from amdm.mini.sizes import UNET, build_scheduler, build_text_encoder, build_tokenizer
from amdm.models.control import SampleRequest
from amdm.models.gligen import GLIGEN
from amdm.models.text import PhraseEncoder
from tests.closeness import assert_same, to_double

pytestmark = pytest.mark.numeric

RING, CROSS = Instance("a red ring", (0.0, 0.25, 0.5, 0.75)), Instance("a blue cross", (0.5, 0.5, 1.0, 1.0))
ONE, TWO = Layout("one", (CROSS,)), Layout("two", (RING, CROSS))


@pytest.fixture
def make() -> Callable[..., GLIGEN]:
    def build(**options: Any) -> GLIGEN:
        torch.manual_seed(0)
        text = PhraseEncoder(build_text_encoder().eval(), build_tokenizer())
        unet = UNet2DConditionModel(**UNET, attention_type="gated").eval()
        for name, parameter in unet.named_parameters():
            if name.endswith(("alpha_attn", "alpha_dense")):
                torch.nn.init.constant_(parameter, 0.7)
        return to_double(GLIGEN(unet, text, build_scheduler(), **options))

    return build


def latents(rows: int) -> torch.Tensor:
    return torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(1)).expand(rows, -1, -1, -1)


def request(*layouts: Layout) -> SampleRequest:
    return SampleRequest(layouts, ("k",) * len(layouts), 10, 3.0, "bad", 64, 64)


@torch.no_grad()
def test_prediction_equals_the_grounding_of_diffusers(make: Callable[..., GLIGEN]) -> None:
    """What StableDiffusionGLIGENPipeline gives its UNet: 30 slots, masks of the unconditional half 0."""
    model, x = make(), latents(1).double()
    hidden, pooled = model.text.encode(["bad", "two", "a red ring", "a blue cross"])
    boxes, embeddings, masks = (torch.zeros(30, n, dtype=x.dtype) for n in (4, pooled.shape[1], 1))
    boxes[:2], embeddings[:2], masks[:2] = torch.tensor([RING.box, CROSS.box]), pooled[2:], 1
    masks = masks.squeeze(1)
    gligen = {
        "boxes": boxes.expand(2, -1, -1),
        "positive_embeddings": embeddings.expand(2, -1, -1),
        "masks": torch.stack([masks * 0, masks]),
    }
    kwargs = {"gligen": gligen}
    uncond, cond = model.unet(torch.cat([x, x]), 500, hidden[:2], cross_attention_kwargs=kwargs).sample.chunk(2)
    found = model.bind(request(TWO))(x, 500, 0)
    assert_same(found.double(), uncond + 3.0 * (cond - uncond))


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch(make: Callable[..., GLIGEN]) -> None:
    model = make()
    together = model.bind(request(ONE, TWO))(latents(2), 500, 0)
    for k, layout in enumerate((ONE, TWO)):
        assert_same(together[k : k + 1], model.bind(request(layout))(latents(1), 500, 0))
    assert (together[0] - together[1]).abs().max() > 1e-3


@torch.no_grad()
def test_scheduled_sampling(make: Callable[..., GLIGEN]) -> None:
    model = make(fuser_beta=0.3)
    moved = Layout("two", (Instance("a red ring", (0.5, 0.0, 0.9, 0.4)), CROSS))
    ours, theirs = model.bind(request(TWO)), model.bind(request(moved))
    for i, grounded in ((2, True), (3, False)):
        differs = (ours(latents(1), 500, i) - theirs(latents(1), 500, i)).abs().max() > 1e-4
        assert bool(differs) == grounded
    assert all(fuser.enabled for fuser in model.fusers)


@pytest.mark.parametrize("count", [0, 31])
def test_layouts_that_do_not_fit_are_refused(make: Callable[..., GLIGEN], count: int) -> None:
    with pytest.raises(InputError, match=rf"layouts\[0\]: has {count} instances; gligen takes 1 to 30"):
        make().bind(request(Layout("c", (RING,) * count)))


def test_a_plain_unet_is_refused() -> None:
    text = PhraseEncoder(build_text_encoder(), build_tokenizer())
    with pytest.raises(InputError, match="no fusers"):
        GLIGEN(UNet2DConditionModel(**UNET), text, build_scheduler())
