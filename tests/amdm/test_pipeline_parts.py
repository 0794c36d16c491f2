"""What users of diffusers set on a pipeline acts, or is refused in one line; small arguments of diffusers' calls."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel

from amdm.errors import InputError
from amdm.layout import Instance, Layout
from amdm.mini.models import MiniModels
from amdm.mini.sizes import build_text_encoder, build_tokenizer, build_vae
from amdm.pipeline import AMDMPipeline
from amdm.pipeline_inputs import sample_keys
from amdm.sampler import BoundModel, aggregate_sample

CROSS, RING = Instance("a red cross", (0.1, 0.1, 0.5, 0.5)), Instance("a blue ring", (0.5, 0.5, 0.9, 0.9))
LAYOUT = Layout("a photo of a red cross and a blue ring ", (CROSS, RING))
OTHER = Layout("a photo of a blue ring ", (RING,))


@pytest.fixture
def pipe() -> AMDMPipeline:
    return loaded("migc")


def loaded(preset: str) -> AMDMPipeline:
    made = AMDMPipeline.from_pretrained("mini", preset, overrides=["settings.all.num_inference_steps=6"])
    made.set_progress_bar_config(disable=True)
    return made


def drawn(pipe: AMDMPipeline, layouts: Any = LAYOUT, seed: int = 0, **more: Any) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    return pipe(layouts, generator=made, output_type="latent", **more).images


@pytest.mark.parametrize("kind", [DPMSolverMultistepScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler])
def test_a_scheduler_that_is_set_draws_the_picture(pipe: AMDMPipeline, kind: Any) -> None:
    before = drawn(pipe)
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    assert type(pipe.scheduler) is kind
    found = drawn(pipe)
    assert (found - before).abs().max() > 0.01 and torch.equal(drawn(pipe), found)
    bound = BoundModel("m", *_bound(pipe, kind))
    with torch.no_grad():
        assert torch.equal(aggregate_sample([bound], 6).latents["m"], found)


def _bound(pipe: AMDMPipeline, kind: Any) -> tuple[Any, Any, torch.Tensor]:
    from amdm.methods import Method

    keys = sample_keys(torch.Generator().manual_seed(0), 1)
    (plain,) = Method("migc", pipe.settings, pipe.models).bind([LAYOUT], keys)
    return plain.denoiser, kind.from_config(plain.scheduler.config), plain.latents


def test_a_scheduler_that_draws_noise_reads_the_samples_generator(pipe: AMDMPipeline) -> None:
    pipe.scheduler = EulerAncestralDiscreteScheduler.from_config(pipe.scheduler.config)
    first = drawn(pipe)
    torch.manual_seed(9)
    assert torch.equal(drawn(pipe), first) and not torch.equal(drawn(pipe, seed=1), first)
    both = pipe([LAYOUT, OTHER], generator=[torch.Generator().manual_seed(k) for k in (0, 1)], output_type="latent")
    torch.testing.assert_close(both.images[:1], first, atol=1e-4, rtol=0)


def test_a_scheduler_of_an_aggregate_is_all_models(pipe: AMDMPipeline) -> None:
    both = loaded("interactdiffusion+migc")
    before = drawn(both)
    both.scheduler = DDIMScheduler.from_config(both.scheduler.config, timestep_spacing="trailing")
    assert (drawn(both) - before).abs().max() > 0.01
    with pytest.raises(InputError, match="scheduler: is DPMSolverMultistepScheduler; aggregation needs DDIM"):
        both.scheduler = DPMSolverMultistepScheduler.from_config(both.scheduler.config)
    assert isinstance(both.scheduler, DDIMScheduler)


def test_a_scheduler_for_another_prediction_is_refused_with_the_way(pipe: AMDMPipeline) -> None:
    before = drawn(pipe)
    way = r"scheduler: expects epsilon, and migc predicts v_prediction; use DPMSolverMultistepScheduler\.from_config"
    with pytest.raises(InputError, match=way):
        pipe.scheduler = DPMSolverMultistepScheduler()
    with pytest.raises(InputError, match="scheduler: is a str, and no scheduler of diffusers"):
        pipe.scheduler = "euler"
    assert torch.equal(drawn(pipe), before)


def test_what_is_changed_on_the_scheduler_that_is_read_acts(pipe: AMDMPipeline) -> None:
    before = drawn(pipe)
    pipe.scheduler.register_to_config(timestep_spacing="trailing")
    assert (drawn(pipe) - before).abs().max() > 0.01


def test_networks_are_the_targets(pipe: AMDMPipeline) -> None:
    model = pipe.models.models["migc"]
    assert pipe.unet is model.unet and pipe.vae is pipe.models.vaes[""]
    assert pipe.text_encoder is model.text.text_encoder and pipe.tokenizer is model.text.tokenizer
    assert pipe.safety_checker is None


def test_components_are_the_parts_by_name_each_once() -> None:
    both = loaded("interactdiffusion+migc")
    found = both.components
    assert sorted(found) == ["migc.unet", "scheduler", "text_encoder", "tokenizer", "unet", "vae"]
    assert all(found[name] is getattr(both, name) for name in found if name != "migc.unet")
    assert found["migc.unet"] is both.models.models["migc"].unet


@pytest.mark.parametrize("what", ["slicing", "tiling"])
def test_the_autoencoder_decodes_in_parts_on_request(pipe: AMDMPipeline, what: str) -> None:
    layouts, seen = [LAYOUT, OTHER], []
    latents = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = pipe(layouts, latents=latents, num_inference_steps=2, output_type="pt").images
    getattr(pipe, f"enable_vae_{what}")()
    assert getattr(pipe.vae, f"use_{what}")
    pipe.vae.decoder.register_forward_hook(lambda module, given, out: seen.append(len(given[0])))
    parts = pipe(layouts, latents=latents, num_inference_steps=2, output_type="pt").images
    torch.testing.assert_close(parts, plain, atol=1e-4, rtol=0)
    if what == "slicing":
        assert seen == [1, 1]
    else:
        pipe.vae.tile_latent_min_size = 8
        tiled = pipe(layouts, latents=latents, num_inference_steps=2, output_type="pt").images
        assert tiled.shape == plain.shape and len(seen) > 4 and (tiled - plain).abs().mean() < 0.02
    getattr(pipe, f"disable_vae_{what}")()
    assert not getattr(pipe.vae, f"use_{what}")


def test_networks_that_are_set_draw_the_picture(pipe: AMDMPipeline) -> None:
    latents, picture = drawn(pipe), pipe(LAYOUT, generator=torch.Generator().manual_seed(0), output_type="pt").images
    torch.manual_seed(0)
    pipe.vae = build_vae().eval()
    changed = pipe(LAYOUT, generator=torch.Generator().manual_seed(0), output_type="pt").images
    assert torch.equal(drawn(pipe), latents) and (changed - picture).abs().max() > 0.05
    for name in ("unet", "text_encoder"):
        twin = copy.deepcopy(getattr(pipe, name))
        setattr(pipe, name, twin)
        assert getattr(pipe, name) is twin and torch.equal(drawn(pipe), latents)
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.mul_(1.05)
        assert (drawn(pipe) - latents).abs().max() > 0.01
        setattr(pipe, name, getattr(loaded("migc"), name))
        assert torch.equal(drawn(pipe), latents)
    pipe.tokenizer = build_tokenizer()
    assert torch.equal(drawn(pipe), latents)


def test_a_compiled_unet_is_taken(pipe: AMDMPipeline) -> None:
    latents, runs = drawn(pipe), []

    def backend(graph: Any, inputs: Any) -> Any:
        runs.append(1)
        return graph.forward

    pipe.unet = torch.compile(pipe.unet, backend=backend)
    assert type(pipe.unet).__name__ == "OptimizedModule"
    with torch.compiler.set_stance("force_eager"):
        torch.testing.assert_close(drawn(pipe), latents)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("unet", lambda: MiniModels().base.unet, "unet: has not the parameters of migc's, controls included"),
        ("unet", lambda: 3, "unet: is a int, and no network of torch"),
        ("vae", lambda: AutoencoderTiny(), "vae: has 4 latent channels and the scaling factor 1.0; the models'"),
        ("vae", lambda: None, "vae: is a NoneType"),
        (
            "text_encoder",
            lambda: CLIPTextModel(CLIPTextConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=1)),
            "text_encoder: has embeddings of width 32; the models read 96",
        ),
        ("text_encoder", lambda: build_text_encoder, "text_encoder: is a function, and no network"),
        ("tokenizer", lambda: "clip", "tokenizer: is a str, and no tokenizer"),
        ("safety_checker", lambda: object(), "safety_checker: would not be asked; check the pictures"),
        ("_guidance_scale", lambda: 1.0, "_guidance_scale: .*give guidance_scale to the call"),
        ("guidance_scale", lambda: 1.0, "guidance_scale: .*give guidance_scale to the call"),
        ("_num_timesteps", lambda: 3, "_num_timesteps: .*give num_inference_steps"),
        ("device", lambda: "cuda", r"device: .*use to\(device\)"),
        ("image_encoder", lambda: 3, "image_encoder: is nothing that this pipeline would read; what can be set: "),
        ("text_encoder_2", lambda: 3, "text_encoder_2: is nothing"),
        ("_cross_attention_kwargs", lambda: {}, "_cross_attention_kwargs: is nothing"),
    ],
)
def test_what_would_not_act_is_refused_and_changes_nothing(
    pipe: AMDMPipeline, name: str, value: Any, what: str
) -> None:
    before = drawn(pipe)
    with pytest.raises(InputError, match=what):
        setattr(pipe, name, value())
    assert torch.equal(drawn(pipe), before)


def test_no_safety_checker_may_be_said(pipe: AMDMPipeline) -> None:
    pipe.safety_checker = None


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(pipe: AMDMPipeline) -> None:
    longer = copy.deepcopy(pipe.tokenizer)
    longer.add_tokens(["teapot"])
    with pytest.raises(InputError, match="tokenizer: has 28 tokens; the text encoder has embeddings for 27"):
        pipe.tokenizer = longer


def test_offload_ends_as_in_diffusers(pipe: AMDMPipeline) -> None:
    pipe.enable_model_cpu_offload(device="cpu")
    pipe.remove_all_hooks()
    pipe.enable_single_use()  # which offload would not let


@pytest.mark.parametrize("gpu", [0, None])
def test_a_device_that_is_none_is_refused_for_offload(pipe: AMDMPipeline, gpu: int | None) -> None:
    with pytest.raises(InputError, match="device: 'nonsense' is not a device of torch"):
        pipe.enable_model_cpu_offload(gpu, device="nonsense")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("enable_sequential_cpu_offload", ()),
        ("enable_group_offload", (torch.device("cpu"),)),
        ("enable_attention_slicing", ()),
        ("set_attention_slice", (1,)),
        ("enable_xformers_memory_efficient_attention", ()),
        ("enable_freeu", (1.0, 1.0, 1.0, 1.0)),
        ("from_pipe", (None,)),
        ("fuse_qkv_projections", ()),
    ],
)
def test_methods_of_diffusers_that_would_not_act_are_refused(
    pipe: AMDMPipeline, name: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(InputError) as found:
        getattr(pipe, name)(*arguments)
    assert len(str(found.value).splitlines()) == 1
    drawn(pipe)


def test_a_change_of_dtype_warns_of_nothing(pipe: AMDMPipeline, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("diffusers")
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING, logger="diffusers"):
            pipe.to(torch.bfloat16)
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records
    assert {one.dtype for module in pipe.models.modules().values() for one in module.parameters()} == {torch.bfloat16}


def test_replaced_attention_processors_are_no_silent_loss_of_control() -> None:
    pipe = AMDMPipeline.from_pretrained("mini", "migc")
    pipe.unet.set_attn_processor(AttnProcessor())
    layout = Layout("a photo of a red cross ", (Instance("a red cross", (0.1, 0.1, 0.5, 0.5)),))
    with pytest.raises(InputError, match=r"unet: migc's attention processor at .* was replaced"):
        pipe(layout, generator=torch.Generator().manual_seed(0))


def test_a_scheduler_without_signal_at_its_end_is_refused() -> None:
    pipe = AMDMPipeline.from_pretrained("mini")
    with pytest.raises(InputError, match="scheduler: is a DDIMScheduler without signal at its last step"):
        pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, rescale_betas_zero_snr=True)
