"""Calls share no state: threads, calls within calls, interleaved denoisers and errors leave every picture as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from amdm.aggregation import official
from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from amdm.methods import Method, load_methods
from amdm.mini.sizes import build_scheduler
from amdm.models.control import ControlModel, SampleRequest
from amdm.noise import initial_noise
from amdm.pipeline import AMDMPipeline
from amdm.presets.profile import load_profile
from amdm.sampler import BoundModel, aggregate_sample
from tests.amdm.models.test_every_model import LAYOUTS, STEPS, STYLES, build

CROSS, RING = Instance("a red cross", (0.1, 0.1, 0.5, 0.5)), Instance("a blue ring", (0.5, 0.5, 0.9, 0.9))
ARCH = Instance("a green arch", (0.3, 0.0, 0.8, 0.4))
MINI = [
    Layout("a photo of a red cross and a blue ring ", (CROSS, RING)),
    Layout("a photo of a blue ring ", (RING,)),
    Layout("a photo of a green arch and a blue ring and a red cross ", (ARCH, RING, CROSS)),
]
PRESETS = tuple(name for name in load_profile("mini").methods if "rebuttal" not in name)  # 8 steps are aggregated
SINGLE = ("stable_diffusion", "interactdiffusion", "gligen", "migc", "ip-adapter")
MANY = 3


def together(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Results of tasks that begin at the same time, a thread each."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        start.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@pytest.fixture(scope="module")
def methods() -> dict[str, Method]:
    return load_methods("mini", PRESETS, ["settings.all.num_inference_steps=5", "settings.migc.migc_steps=3"])


def pipeline_of(method: Method) -> AMDMPipeline:
    pipe = AMDMPipeline(method.models, method.settings, "mini", method.name)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("name", PRESETS)
def test_threads_of_one_pipeline_draw_the_pictures_of_calls_in_turn(methods: dict[str, Method], name: str) -> None:
    pipe = pipeline_of(methods[name])

    def drawn(k: int) -> torch.Tensor:
        steps, scale = (5, 6, 8)[k], (2.0, 4.5, 7.0)[k]
        made = torch.Generator().manual_seed(k)
        more: dict[str, Any] = {
            "num_inference_steps": steps,
            "guidance_scale": scale,
            "negative_prompt": "a ring"[: 2 * k],
        }
        if "ip-adapter" in methods[name].settings.models:
            more["ip_adapter_image"] = STYLES[k]
        layout = Layout(MINI[k].caption) if name == "ip-adapter" else MINI[k]
        return pipe(layout, generator=made, output_type="latent", **more).images

    in_turn = [drawn(k) for k in range(MANY)]
    methods[name].models.forget_texts()
    for k, found in enumerate(together([lambda k=k: drawn(k) for k in range(MANY)])):
        assert torch.equal(found, in_turn[k])


def test_threads_of_one_method(methods: dict[str, Method]) -> None:
    method = methods["interactdiffusion+migc"]
    in_turn = [method.generate([one], ["key"]).images for one in MINI]
    found = together([lambda one=one: method.generate([one], ["key"]).images for one in MINI])
    assert all(np.array_equal(*pair) for pair in zip(found, in_turn, strict=True))


def request(model: ControlModel, k: int) -> SampleRequest:
    styles = (STYLES[k],) if "style" in model.reads else None
    return SampleRequest((LAYOUTS[k],), (f"key {k}",), STEPS, 2.0 + k, ("bad", "", "a ring")[k], 64, 64, styles)


def bound_model(model: ControlModel, k: int, scheduler: Any = None) -> BoundModel:
    noise = initial_noise([f"key {k}"], model.name, (8, 16, 16))
    return BoundModel(model.name, model.bind(request(model, k)), scheduler or build_scheduler(), noise)


@pytest.mark.parametrize("name", SINGLE)
def test_threads_that_sample_with_one_model_and_one_scheduler(name: str) -> None:
    model, shared = build(name), build_scheduler()

    @torch.no_grad()
    def drawn(k: int) -> torch.Tensor:
        return aggregate_sample([bound_model(model, k, shared)], STEPS + k).latents[name]

    in_turn = [drawn(k) for k in range(MANY)]
    model.text.forget()
    for k, found in enumerate(together([lambda k=k: drawn(k) for k in range(MANY)])):
        assert torch.equal(found, in_turn[k])


def test_threads_that_sample_with_the_same_bound_models() -> None:
    models = [build("interactdiffusion"), build("migc")]
    with torch.no_grad():
        bound = [bound_model(model, 1) for model in models]
    config = official(2, [0.5], [1.0, 1.0])
    in_turn = [aggregate_sample(bound, steps, config).latents["interactdiffusion"] for steps in (4, 5, 7)]
    tasks = [lambda n=n: aggregate_sample(bound, n, config).latents["interactdiffusion"] for n in (4, 5, 7)]
    assert all(torch.equal(*pair) for pair in zip(together(tasks), in_turn, strict=True))


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("interactdiffusion", "fuser_scale", (1.0, 0.3)),
        ("interactdiffusion", "box_bias", (0.0, 4.0)),
        ("interactdiffusion", "fuser_beta", (1.0, 0.0)),
        ("gligen", "fuser_beta", (1.0, 0.0)),
        ("migc", "migc_steps", (3, -1)),
        ("migc", "naive_fuser_steps", (3, -1)),
        ("ip-adapter", "scale", (0.9, 0.1)),
    ],
)
def test_interleaved_denoisers_of_one_model_keep_their_options(name: str, option: str, values: tuple[Any, Any]) -> None:
    model, x, step = build(name), initial_noise(["x"], "x", (8, 16, 16)), 2
    alone = []
    for value in values:
        setattr(model, option, value)
        alone.append(model.bind(request(model, 1))(x, 500, step))
    assert not torch.equal(*alone)
    setattr(model, option, values[0])
    first = model.bind(request(model, 1))
    setattr(model, option, values[1])
    second = model.bind(request(model, 1))
    for _ in range(2):
        assert torch.equal(first(x, 500, step), alone[0]) and torch.equal(second(x, 500, step), alone[1])


@torch.no_grad()
@pytest.mark.parametrize("name", SINGLE)
def test_an_error_in_the_middle_leaves_nothing_behind(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = build(name), initial_noise(["x"], "x", (8, 16, 16))
    context = model.text.encode(["a red ring"])[0]
    extra = {"added_cond_kwargs": {"image_embeds": [torch.ones(1, 1, 24)]}} if name == "ip-adapter" else {}
    plain = model.unet(x, 500, context, **extra).sample
    denoise = model.bind(request(model, 0))
    before = denoise(x, 500, 0)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(model.unet.conv_out, "forward", broken)
        with pytest.raises(RuntimeError, match="out of memory"):
            denoise(x, 500, 0)
    assert torch.equal(model.unet(x, 500, context, **extra).sample, plain)
    assert torch.equal(denoise(x, 500, 0), before)


@torch.no_grad()
def test_one_denoiser_serves_latents_of_two_sizes() -> None:
    model = build("migc")
    small, wide = (torch.randn(1, 8, 16, w, generator=torch.Generator().manual_seed(w)) for w in (16, 24))
    fresh = model.bind(request(model, 1))(wide, 500, 0)
    denoise = model.bind(request(model, 1))
    denoise(small, 500, 0)
    assert torch.equal(denoise(wide, 500, 0), fresh)


@pytest.mark.parametrize("name", ["interactdiffusion+migc", "migc"])
def test_a_callback_may_call_the_same_pipeline(methods: dict[str, Method], name: str) -> None:
    pipe = pipeline_of(methods[name])

    def drawn(k: int, **more: Any) -> torch.Tensor:
        made = torch.Generator().manual_seed(k)
        return pipe(MINI[k], generator=made, output_type="latent", **more).images

    outer, inner, seen = drawn(0), drawn(1), []

    def again(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        if i in (1, 4):
            seen.append(drawn(1, callback_on_step_end=stop if i == 4 else None))
        assert not owner.interrupt  # the inner call was stopped, not this one
        assert (owner.num_timesteps, owner.guidance_scale) == (5, pipe.guidance_scale)
        return {}

    def stop(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        owner._interrupt = i == 2
        return {}

    assert torch.equal(drawn(0, callback_on_step_end=again), outer)
    assert torch.equal(seen[0], inner) and not torch.equal(seen[1], inner)


def test_an_interrupt_ends_the_call_that_it_was_set_in(methods: dict[str, Method]) -> None:
    pipe = pipeline_of(methods["migc"])
    steps: dict[int, list[int]] = {0: [], 1: []}

    def drawn(k: int) -> None:
        def seen(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
            steps[k].append(i)
            if k == 0:
                owner._interrupt = True
            return {}

        pipe(MINI[k], generator=torch.Generator().manual_seed(k), output_type="latent", callback_on_step_end=seen)

    together([lambda k=k: drawn(k) for k in (0, 1)])
    assert steps == {0: [0], 1: [0, 1, 2, 3, 4]} and not pipe.interrupt


def test_an_interrupt_from_another_thread_ends_what_is_under_way(methods: dict[str, Method]) -> None:
    pipe, steps = pipeline_of(methods["migc"]), []

    def seen(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(i)
        if i == 2:
            other = threading.Thread(target=lambda: setattr(pipe, "_interrupt", True))
            other.start()
            other.join()
        return {}

    pipe(MINI[0], generator=torch.Generator().manual_seed(0), output_type="latent", callback_on_step_end=seen)
    assert steps == [0, 1, 2]


def test_networks_that_are_moved_about_serve_one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = AMDMPipeline.from_pretrained("mini", "migc", overrides=["settings.all.num_inference_steps=3"])
    pipe.set_progress_bar_config(disable=True)

    def drawn(k: int, **more: Any) -> torch.Tensor:
        made = torch.Generator().manual_seed(k)
        return pipe(MINI[k], generator=made, output_type="latent", **more).images

    in_turn, held = [drawn(k) for k in range(MANY)], []
    hold = pipe._hold
    monkeypatch.setattr(pipe, "_hold", lambda *kinds: (held.append((threading.get_ident(), kinds)), hold(*kinds)))
    pipe.enable_model_cpu_offload(device="cpu")
    held.clear()
    found = together([lambda k=k: drawn(k) for k in range(MANY)])
    assert all(torch.equal(*pair) for pair in zip(found, in_turn, strict=True))
    phases = [("unet", "encoder"), ("unet",), ("vae",), ()]
    assert [kinds for _, kinds in held] == phases * MANY  # never two calls at once
    assert all(len({who for who, _ in held[k : k + 4]}) == 1 for k in range(0, len(held), 4))
    held.clear()
    drawn(0, callback_on_step_end=lambda owner, i, *_: {} if i else drawn(1) is None or {})
    assert [kinds for _, kinds in held] == [*phases[:2], *phases[:3], ("unet",), *phases[2:]]  # put back for the outer


def test_a_failed_call_gives_the_device_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = AMDMPipeline.from_pretrained("mini", "migc", overrides=["settings.all.num_inference_steps=3"])
    pipe.set_progress_bar_config(disable=True)
    pipe.enable_model_cpu_offload(device="cpu")

    def broken(*_: Any) -> dict[str, Any]:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        pipe(MINI[0], callback_on_step_end=broken)
    assert pipe._held == () and not pipe._calls


def test_a_pipeline_for_one_call_makes_one() -> None:
    pipe = AMDMPipeline.from_pretrained("mini", "migc", overrides=["settings.all.num_inference_steps=3"])
    pipe.set_progress_bar_config(disable=True)

    def drawn(**more: Any) -> torch.Tensor | str:
        try:
            return pipe(MINI[0], generator=torch.Generator().manual_seed(0), output_type="latent", **more).images
        except InputError as error:
            return str(error)

    expected, inner = drawn(), []
    pipe.enable_single_use()
    again = lambda *_: inner.append(drawn()) or {}  # noqa: E731
    found = together([lambda: drawn(callback_on_step_end=again)] * MANY)
    pictures = [one for one in found if not isinstance(one, str)]
    assert len(pictures) == 1 and torch.equal(pictures[0], expected)
    refused = [*inner, *(one for one in found if isinstance(one, str))]
    assert refused == ["enable_single_use: the one call was made; load the pipeline again"] * (3 + MANY - 1)


def test_threads_that_encode_texts() -> None:
    text = build("stable_diffusion").text
    texts = [f"a {word} {noun}" for word in ("red", "blue", "green") for noun in ("ring", "cross", "arch", "circle")]
    in_turn = {one: text.encode([one]) for one in texts}
    text.forget()

    def task(k: int) -> bool:
        found = True
        for one in texts[k:] + texts[:k]:
            hidden, pooled = text.encode([one, "a square"])
            found &= torch.equal(hidden[0], in_turn[one][0][0]) and torch.equal(pooled[0], in_turn[one][1][0])
            if k == 0:
                text.forget()
        return found

    assert all(together([lambda k=k: task(k) for k in range(4)]))


def test_an_interaction_is_sampled_in_threads_too(methods: dict[str, Method]) -> None:
    pipe = pipeline_of(methods["interactdiffusion"])
    related = replace(MINI[0], interactions=(Interaction(CROSS, "and", RING),))

    def drawn(k: int) -> torch.Tensor:
        return pipe([related, MINI[1]][k], generator=torch.Generator().manual_seed(k), output_type="latent").images

    in_turn = [drawn(0), drawn(1)]
    assert all(torch.equal(*pair) for pair in zip(together([lambda: drawn(0), lambda: drawn(1)]), in_turn, strict=True))
