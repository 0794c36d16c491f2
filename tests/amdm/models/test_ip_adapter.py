"""IP-Adapter at a tiny size: the same prediction as diffusers' own pipeline, batches, style images that matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from amdm.errors import InputError
from amdm.layout import Layout
from amdm.mini.sizes import UNET, build_scheduler, build_text_encoder, build_tokenizer
from amdm.models.control import SampleRequest
from amdm.models.ip_adapter import IPAdapter
from amdm.models.text import PhraseEncoder
from tests.closeness import assert_same, to_double

pytestmark = pytest.mark.numeric

IMAGE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
    "projection_dim": 24,
}
Make = Callable[[], IPAdapter]


def style(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 48, 3), dtype=np.uint8))


@pytest.fixture
def make() -> Make:
    def build() -> IPAdapter:
        torch.manual_seed(0)
        text = PhraseEncoder(build_text_encoder().eval(), build_tokenizer())
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**IMAGE)).eval()
        processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        return IPAdapter(UNet2DConditionModel(**UNET).eval(), text, build_scheduler(), encoder, processor)

    return build


def latents(rows: int) -> torch.Tensor:
    return torch.randn(rows, 8, 16, 16, generator=torch.Generator().manual_seed(1))


def request(*styles: Image.Image, caption: str = "a red ring") -> SampleRequest:
    layouts, keys = (Layout(caption),) * len(styles), ("k",) * len(styles)
    return SampleRequest(layouts, keys, 10, 3.0, "a square", 64, 64, styles)


@torch.no_grad()
def test_prediction_equals_the_pipeline_of_diffusers(make: Make) -> None:
    ours, state = to_double(make()), make().control_state_dict()
    text = ours.text
    plain = UNet2DConditionModel(**UNET).eval()
    plain.load_state_dict({k: v for k, v in ours.unet.state_dict().items() if k in plain.state_dict()})
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        nested[part][rest] = value
    plain._load_ip_adapter_weights([nested])
    plain.double()
    pipe = StableDiffusionPipeline(
        vae=AutoencoderTiny(),
        text_encoder=text.text_encoder,
        tokenizer=text.tokenizer,
        unet=plain,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=ours.image_processor,
        image_encoder=ours.image_encoder,
        requires_safety_checker=False,
    )
    pipe.set_ip_adapter_scale(0.6)
    ours.scale = 0.6
    x, picture = latents(1), style(0)
    hidden = text.encode(["a square", "a red ring"])[0]
    embeddings = pipe.prepare_ip_adapter_image_embeds([picture], None, torch.device("cpu"), 1, True)
    theirs = plain(
        torch.cat([x, x]).double(), 500, hidden, added_cond_kwargs={"image_embeds": embeddings}, return_dict=False
    )[0]
    found = ours.bind(request(picture))(x, 500, 0)
    uncond, cond = theirs.chunk(2)
    assert_same(found.double(), uncond + 3.0 * (cond - uncond))


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch_and_its_style_matters(make: Make) -> None:
    model, x = to_double(make()), latents(1).expand(3, -1, -1, -1)
    one, two = style(1), style(2)
    together = model.bind(request(one, two, one))(x, 500, 0)
    assert_same(together[1:2], model.bind(request(two))(x[:1], 500, 0))
    assert_same(together[0], together[2])
    assert (together[0] - together[1]).abs().max() > 1e-4
    model.scale = 0.0
    off = model.bind(request(one, two))(x[:2], 500, 0)
    assert_same(off[0], off[1])


def test_each_picture_is_encoded_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = make(), []
    real = model.image_encoder.forward

    def forward(pixels: torch.Tensor, **more: Any) -> Any:
        seen.append(len(pixels))
        return real(pixels, **more)

    monkeypatch.setattr(model.image_encoder, "forward", forward)
    one = style(1)
    model.bind(request(one, style(2), one))
    assert seen == [2]


def test_a_picture_of_another_mode_is_read_as_a_file_is(make: Make) -> None:
    model = make()
    transparent = Image.new("RGBA", (40, 48), (255, 0, 0, 0))
    grey = Image.fromarray(np.full((48, 40), 200 * 257, np.uint16))
    found = model.image_embeddings([transparent, grey])
    white, plain = Image.new("RGB", (40, 48), "white"), Image.new("RGB", (40, 48), (200, 200, 200))
    torch.testing.assert_close(found, model.image_embeddings([white, plain]), rtol=0, atol=0)


def test_arrays_and_tensors_are_the_pictures_that_they_hold(make: Make) -> None:
    model, picture = make(), style(1)
    whole = np.asarray(picture)
    tensor = torch.from_numpy(whole.copy()).permute(2, 0, 1)
    expected = model.image_embeddings([picture])
    for one in (whole, whole / np.float32(255), tensor, tensor / 255, (tensor / 255).double()):
        torch.testing.assert_close(model.image_embeddings([one]), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("picture", "what"),
    [
        (np.full((8, 8, 3), np.nan), "style: holds NaN or infinity"),
        (np.full((8, 8, 3), 200.0), "style: holds floats from 200 to 200"),
        ("style.png", "style: is a str; it must be a PIL image"),
        (None, "style: is a NoneType"),
        (Image.new("F", (8, 8)), "style: holds float values"),
    ],
)
def test_what_is_no_picture_is_one_line(make: Make, picture: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        make().image_embeddings([picture])


def test_public_keys(make: Make) -> None:
    model = make()
    state = {key: torch.randn_like(value) for key, value in model.control_state_dict().items()}
    crosses = sum(path.endswith("attn2.processor") for path in model.unet.attn_processors)
    names = {f"ip_adapter.{2 * k + 1}.to_{p}_ip.weight" for k in range(crosses) for p in "kv"}
    assert set(state) == names | {f"image_proj.{p}.{kind}" for p in ("proj", "norm") for kind in ("weight", "bias")}
    model.load_control_state_dict(state)
    assert all(torch.equal(value, state[key]) for key, value in model.control_state_dict().items())
    with pytest.raises(KeyError, match=r"image_proj\.norm\.bias"):
        model.load_control_state_dict({k: v for k, v in state.items() if k != "image_proj.norm.bias"})
    with pytest.raises(KeyError, match="has shape"):
        model.load_control_state_dict({**state, "image_proj.norm.bias": torch.zeros(3)})
