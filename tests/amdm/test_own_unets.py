"""UNets of a user's own: one alone is diffusers' own pipeline, two are aggregated, what does not fit is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

from amdm.aggregation import official
from amdm.errors import InputError
from amdm.mini import sizes
from amdm.mini.models import MiniModels
from amdm.models.control import SampleRequest
from amdm.noise import initial_noise
from amdm.pipeline import AMDMPipeline
from amdm.pipeline_inputs import sample_keys
from amdm.sampler import BoundModel, aggregate_sample

CAPTION = "a photo of a red ring "


def tiny_stable_diffusion() -> StableDiffusionPipeline:
    """diffusers' pipeline on the mini world's base."""
    mini = MiniModels.load()
    made = StableDiffusionPipeline(
        vae=mini.vae,
        text_encoder=mini.text.text_encoder,
        tokenizer=mini.text.tokenizer,
        unet=mini.base.unet,
        scheduler=mini.base.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def tiny_unet(base: StableDiffusionPipeline, seed: int) -> UNet2DConditionModel:
    """Another one: the base's weights, moved at random."""
    made = UNet2DConditionModel.from_config(base.unet.config)
    made.load_state_dict(base.unet.state_dict())
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * parameter.std(correction=0) * torch.randn(parameter.shape, generator=chance))
    return made.eval()


@pytest.fixture(scope="module")
def base() -> StableDiffusionPipeline:
    return tiny_stable_diffusion()


def noise() -> torch.Tensor:
    return torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(3))


def quiet(pipe: AMDMPipeline) -> AMDMPipeline:
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.numeric
def test_one_alone_is_diffusers_own_pipeline(base: StableDiffusionPipeline) -> None:
    pipe = quiet(AMDMPipeline.from_unets({"mine": base.unet}, base))
    ours = pipe(CAPTION, latents=noise(), num_inference_steps=6, output_type="latent").images
    theirs = base(CAPTION, latents=noise(), num_inference_steps=6, output_type="latent").images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    picture = pipe(CAPTION, latents=noise(), num_inference_steps=6, output_type="pt").images
    plain = base(CAPTION, latents=noise(), num_inference_steps=6, output_type="pt").images
    torch.testing.assert_close(picture, plain, atol=1e-3, rtol=0)


@pytest.mark.numeric
def test_two_are_aggregated_as_the_sampler_does(base: StableDiffusionPipeline) -> None:
    other = tiny_unet(base, 1)
    pipe = quiet(AMDMPipeline.from_unets({"mine": other, "base": base.unet}, base, {"s": 2, "weights": [0.4]}))
    asked = {"latents": noise(), "num_inference_steps": 6, "output_type": "latent"}
    found = pipe(CAPTION, guidance_scale={"mine": 3.0}, all_models=True, **asked)
    assert list(found.images_by_model) == ["mine", "base"]
    keys = sample_keys(None, 1, noise())
    bound = []
    for name, scale in (("mine", 3.0), ("base", 7.5)):
        model = pipe.models.models[f"stable_diffusion:{name}"]
        from amdm.layout import Layout

        request = SampleRequest((Layout(CAPTION),), tuple(keys), 6, scale, "", 64, 64)
        start = noise() if name == "mine" else initial_noise(keys, model.name, (8, 16, 16))
        bound.append(BoundModel(name, model.bind(request), model.scheduler, start))
    config = official(2, [0.4], [0.3516, 0.4297], eta_unit="sqrt_dim")
    expected = aggregate_sample(bound, 6, config).latents["mine"]
    torch.testing.assert_close(found.images, expected, atol=1e-5, rtol=0)
    alone = quiet(AMDMPipeline.from_unets({"mine": other}, base))(CAPTION, guidance_scale=3.0, **asked).images
    assert (found.images - alone).abs().max() > 0.1


def test_another_composition_is_named_with_its_own_fields_alone(base: StableDiffusionPipeline) -> None:
    asked = {"latents": noise(), "num_inference_steps": 4, "output_type": "latent"}
    unets = {"mine": tiny_unet(base, 1), "base": base.unet}
    found = quiet(AMDMPipeline.from_unets(unets, base, {"semantics": "mean-epsilon", "weights": [1, 0]}))
    drawn = found(CAPTION, **asked).images
    mine, other = (quiet(AMDMPipeline.from_unets({"x": unets[name]}, base))(CAPTION, **asked).images for name in unets)
    # Weight 1 and 0 are the first model's, but for the way by ε and back in float32; the other's is another picture.
    assert (drawn - mine).abs().max() < 1e-3 * (drawn - other).abs().max()


def test_the_size_of_a_picture_is_the_unets(base: StableDiffusionPipeline) -> None:
    wide = tiny_unet(base, 1)
    wide.register_to_config(sample_size=[16, 24])
    pipe = quiet(AMDMPipeline.from_unets({"a": wide}, base))
    assert (pipe.settings.height, pipe.settings.width) == (64, 96)
    assert pipe(CAPTION, num_inference_steps=1, output_type="pt").images.shape == (1, 3, 64, 96)
    pipe.models.latent_scale = 16  # as with an autoencoder of one level more than is usual
    with pytest.raises(InputError, match="width: is 72; it must be a multiple of 16"):
        pipe(CAPTION, width=72)


def test_a_schedule_of_another_sampler_is_read_as_ddim(base: StableDiffusionPipeline) -> None:
    config = {key: one for key, one in base.scheduler.config.items() if key != "clip_sample"}
    parts = SimpleNamespace(**{name: getattr(base, name) for name in ("vae", "text_encoder", "tokenizer")})
    parts.scheduler = PNDMScheduler.from_config(config)
    found = AMDMPipeline.from_unets({"a": base.unet}, parts).scheduler
    assert type(found) is DDIMScheduler and not found.config.clip_sample
    assert torch.equal(found.alphas_cumprod, base.scheduler.alphas_cumprod)


def unet(**changed: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(**{**sizes.UNET, **changed})


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (lambda base: ([base.unet], base), r"unets: must be UNets by name"),
        (lambda base: ({}, base), r"unets: must be UNets by name"),
        (lambda base: ({"a:b": base.unet}, base), r"unets: a:b is not a name|unets: 'a:b' is not a name"),
        (lambda base: ({"a": base.vae}, base), r"unets\.a: is a AutoencoderTiny, and no UNet2DConditionModel"),
        (
            lambda base: ({"a": unet(in_channels=4)}, base),
            r"unets\.a: has in_channels 4; vae and text_encoder go with 8",
        ),
        (lambda base: ({"a": unet(num_class_embeds=3)}, base), r"unets\.a: reads more than a caption"),
        (lambda base: ({"a": unet(cross_attention_dim=32)}, base), r"unets\.a: has cross_attention_dim 32"),
        (lambda base: ({"a": base.unet}, base.vae), r"parts: has no vae; a StableDiffusionPipeline has"),
        (lambda base: ({"a": base.unet}, base, {"s": 2}), r"aggregation: has one model, which aggregates nothing"),
        (lambda base: ({"a": base.unet, "b": base.unet}, base, {"sx": 2}), r"aggregation\.sx: is not a field here"),
    ],
)
def test_what_does_not_fit_is_one_line(base: StableDiffusionPipeline, given: Any, what: str) -> None:
    with pytest.raises(InputError, match=what) as found:
        AMDMPipeline.from_unets(*given(base))
    assert "\n" not in str(found.value)
