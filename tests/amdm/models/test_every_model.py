"""What holds for all five models: batches over whole runs, half precision, another base."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from amdm.errors import InputError
from amdm.layout import Instance, Layout
from amdm.mini import sizes as mini
from amdm.mini.sizes import MIGC_HEADS, MIGC_LAYERS, build_scheduler, build_text_encoder, build_tokenizer
from amdm.models.control import ControlModel, SampleRequest
from amdm.models.gligen import GLIGEN
from amdm.models.interactdiffusion import InteractDiffusion
from amdm.models.ip_adapter import IPAdapter
from amdm.models.migc import MIGC
from amdm.models.stable_diffusion import StableDiffusion
from amdm.models.text import PhraseEncoder
from amdm.noise import initial_noise
from amdm.sampler import BoundModel, aggregate_sample
from tests.closeness import assert_same, to_double

pytestmark = pytest.mark.numeric

STEPS = 4
UNET = {**mini.UNET, "block_out_channels": (32, 32, 32)}
RING, CROSS = Instance("a red ring", (0.0, 0.25, 0.5, 0.75)), Instance("a blue cross", (0.5, 0.5, 1.0, 1.0))
STAR = Instance("a green star", (0.25, 0.0, 0.9, 0.4))
LAYOUTS = (Layout("one", (CROSS,)), Layout("three", (STAR, RING, CROSS)), Layout("two", (RING, CROSS)))
KEYS = ("a", "b", "c")
STYLES = tuple(Image.linear_gradient("L").convert("RGB").rotate(angle) for angle in (0, 90, 180))
IMAGE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
    "projection_dim": 24,
}


def build(name: str, base_seed: int = 0) -> ControlModel:
    """A mini model with random weights and open gates; models of one name differ in their base alone."""
    torch.manual_seed(7)
    text = PhraseEncoder(build_text_encoder().eval(), build_tokenizer())
    gated = name in ("interactdiffusion", "gligen")
    unet = UNet2DConditionModel(**UNET, attention_type="gated" if gated else "default").eval()
    scheduler = build_scheduler()
    model: ControlModel
    if name == "migc":
        model = MIGC(unet, text, scheduler, layers=MIGC_LAYERS, heads=MIGC_HEADS, migc_steps=1, naive_fuser_steps=2)
    elif name == "ip-adapter":
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**IMAGE)).eval()
        processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        model = IPAdapter(unet, text, scheduler, encoder, processor)
    elif name == "stable_diffusion":
        model = StableDiffusion(unet, text, scheduler)
    else:
        model = {"interactdiffusion": InteractDiffusion, "gligen": GLIGEN}[name](unet, text, scheduler, fuser_beta=0.75)
    for parameter, value in unet.named_parameters():
        if parameter.endswith(("alpha_attn", "alpha_dense")):
            torch.nn.init.constant_(value, 0.7)
    if base_seed:
        torch.manual_seed(base_seed)
        unet.load_state_dict(UNet2DConditionModel(**UNET).state_dict(), strict=False)
    return model


every = pytest.mark.parametrize("name", ["stable_diffusion", "interactdiffusion", "gligen", "migc", "ip-adapter"])


def request(model: ControlModel, rows: slice = slice(None)) -> SampleRequest:
    styles = STYLES[rows] if "style" in model.reads else None
    return SampleRequest(LAYOUTS[rows], KEYS[rows], STEPS, 3.0, "bad", 64, 64, styles)


def sampled(model: ControlModel, rows: slice = slice(None)) -> torch.Tensor:
    noise = initial_noise(KEYS[rows], model.name, (8, 16, 16)).to(model.unet.dtype)
    bound = BoundModel(model.name, model.bind(request(model, rows)), build_scheduler(), noise)
    return aggregate_sample([bound], STEPS).latents[model.name]


def evaluated(model: ControlModel, i: int = 0) -> torch.Tensor:
    with torch.no_grad():
        return model.bind(request(model))(initial_noise(KEYS, "x", (8, 16, 16)), 500, i)


@every
def test_a_sample_of_a_run_does_not_depend_on_its_batch(name: str) -> None:
    model = to_double(build(name))
    together = sampled(model)
    for k in range(len(LAYOUTS)):
        assert_same(together[k : k + 1], sampled(model, slice(k, k + 1)))
    assert (together[0] - together[1]).abs().max() > 0.01


@every
def test_both_halves_of_guidance_can_be_had_apart(name: str) -> None:
    model, x = build(name), initial_noise(KEYS, "x", (8, 16, 16))
    asked = request(model)
    others = replace(asked, layouts=tuple(replace(one, caption="a photo of a blue ring ") for one in LAYOUTS))
    with torch.no_grad():
        denoise = model.bind(asked)
        uncond, cond = denoise.halves(x, 500, 0)
        assert torch.equal(denoise(x, 500, 0), uncond + asked.guidance_scale * (cond - uncond))
        same, other = model.bind(others).halves(x, 500, 0)
        alone, _ = model.bind(replace(asked, guidance_scale=1.0)).halves(x, 500, 0)
    assert torch.equal(alone, uncond)  # no scale in it
    assert torch.equal(same, uncond) and not torch.equal(other, cond)  # the caption is in the second half alone
    assert uncond.shape == x.shape and uncond.dtype == cond.dtype == torch.float32


@every
@pytest.mark.parametrize("halved", ["unet", "everything"])
def test_in_half_precision_predictions_are_float32_and_near(name: str, halved: str) -> None:
    model = build(name)
    exact = evaluated(model)
    for part, module in model.modules().items():
        if halved in (part, "everything"):
            module.to(torch.bfloat16)
    model.text.forget()
    found = evaluated(model)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert (found - exact).norm() < 0.1 * exact.norm()  # 8 bits of mantissa, threefold by guidance


@every
def test_controls_work_on_another_base(name: str) -> None:
    first, second = to_double(build(name)), to_double(build(name, base_seed=1))
    assert (evaluated(first) - evaluated(second)).abs().max() > 0.01
    base = StableDiffusion(UNet2DConditionModel(**UNET).eval().double(), second.text, build_scheduler())
    own = second.unet.state_dict()
    base.unet.load_state_dict({key: own[key] for key in base.unet.state_dict()})
    last = STEPS - 1  # controls are off here: MIGC's steps and the fusers' share are over
    if isinstance(second, IPAdapter):
        second.scale = 0.0
    assert_same(evaluated(second, last), evaluated(base, last))


@pytest.mark.parametrize("styles", [None, STYLES[:2]])
def test_ip_adapter_needs_a_style_for_each_layout(styles: tuple[Image.Image, ...] | None) -> None:
    model = build("ip-adapter")
    with pytest.raises(InputError, match=r"^style: ip-adapter needs a style image for each layout"):
        model.bind(replace(request(model), styles=styles))
