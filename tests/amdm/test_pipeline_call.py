"""What happens during a call: callbacks, threads, and what is given back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, HeunDiscreteScheduler
from tqdm import tqdm

from amdm.errors import InputError
from amdm.pipeline import AMDMPipeline
from amdm.pipeline_inputs import sample_keys, sample_layouts, sample_negatives
from tests.amdm.test_pipeline_parts import LAYOUT, OTHER, drawn, loaded


@pytest.fixture
def pipe() -> AMDMPipeline:
    return loaded("migc")


@pytest.mark.parametrize("name", ["_guidance_scale", "scheduler", "unet", "settings", "nonsense"])
def test_what_a_callback_sets_is_refused(pipe: AMDMPipeline, name: str) -> None:
    def change(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        setattr(owner, name, getattr(owner, name, 1.0) if name in ("scheduler", "unet", "settings") else 1.0)
        return {}

    with pytest.raises(InputError, match=f"^{name}: (cannot be changed while a picture is drawn|is nothing)"):
        drawn(pipe, callback_on_step_end=change)
    drawn(pipe)


@pytest.mark.parametrize(
    "change",
    [
        lambda pipe: pipe.to(torch.float64),
        lambda pipe: pipe.enable_model_cpu_offload(device="cpu"),
        lambda pipe: pipe.enable_single_use(),
        lambda pipe: setattr(pipe, "vae", pipe.vae),
        lambda pipe: setattr(pipe, "text_encoder", pipe.text_encoder),
        lambda pipe: setattr(pipe, "models", pipe.models),
    ],
)
def test_networks_stay_what_they_are_while_any_thread_draws(pipe: AMDMPipeline, change: Callable[..., Any]) -> None:
    before, said = drawn(pipe), []

    def other() -> None:
        try:
            change(pipe)
        except InputError as error:
            said.append(str(error))

    def meanwhile(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        if i == 2:
            other()
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        return {}

    assert torch.equal(drawn(pipe, callback_on_step_end=meanwhile), before)
    assert len(said) == 2 and all("while a picture is drawn" in one or "no picture is drawn" in one for one in said)
    change(pipe)


def test_a_scheduler_that_another_thread_sets_is_of_calls_that_begin_later(pipe: AMDMPipeline) -> None:
    before = drawn(pipe)
    other = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)

    def meanwhile(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        if i == 2:
            thread = threading.Thread(target=lambda: setattr(pipe, "scheduler", other))
            thread.start()
            thread.join()
        return {}

    assert torch.equal(drawn(pipe, callback_on_step_end=meanwhile), before)
    assert pipe.scheduler is other and not torch.equal(drawn(pipe), before)


def test_states_keep_their_precision_whatever_a_callback_returns(pipe: AMDMPipeline) -> None:
    found = drawn(pipe, callback_on_step_end=lambda *given: {"latents": given[3]["latents"].half()})
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, drawn(pipe), rtol=0.05, atol=0.05)


def test_what_a_callback_returns_under_another_name_is_refused(pipe: AMDMPipeline) -> None:
    with pytest.raises(InputError, match="prompt_embeds: is not a tensor that a callback can change"):
        drawn(pipe, callback_on_step_end=lambda *_: {"prompt_embeds": torch.zeros(1)})


def test_what_a_call_gives_can_be_written_to(pipe: AMDMPipeline) -> None:
    seen = []
    drawn(pipe, num_inference_steps=1, callback_on_step_end=lambda *given: seen.append(given[3]["latents"]))
    for one in (
        *seen,
        drawn(pipe, num_inference_steps=1),
        pipe(LAYOUT, num_inference_steps=1, output_type="pt").images,
    ):
        one.mul_(2).requires_grad_()
        one.square().sum().backward()


def test_what_a_callback_alters_of_the_scheduler_is_of_the_next_call(pipe: AMDMPipeline) -> None:
    def change(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        owner.scheduler.register_to_config(timestep_spacing="trailing")
        return {}

    before = drawn(pipe)
    assert torch.equal(drawn(pipe, callback_on_step_end=change), before)
    assert not torch.equal(drawn(pipe), before)


def test_a_call_may_name_no_tensors(pipe: AMDMPipeline) -> None:
    given: list[Any] = []
    drawn(pipe, num_inference_steps=1, callback_on_step_end_tensor_inputs=None)
    drawn(
        pipe,
        num_inference_steps=1,
        callback_on_step_end=lambda *all_: given.append(all_[3]),
        callback_on_step_end_tensor_inputs=None,
    )
    assert given == [{}]


def test_what_a_callback_reads(pipe: AMDMPipeline) -> None:
    seen = []

    def read(owner: AMDMPipeline, i: int, t: float, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append((owner.guidance_scale, owner.num_timesteps))
        return {}

    drawn(pipe, num_inference_steps=3, guidance_scale=2.5, callback_on_step_end=read)
    assert seen == [(2.5, 3)] * 3 and (pipe.guidance_scale, pipe.num_timesteps) == (4.5, 6)


def test_layouts_in_the_first_place(pipe: AMDMPipeline) -> None:
    one = pipe(layouts=LAYOUT, generator=torch.Generator().manual_seed(0), output_type="latent").images
    assert torch.equal(drawn(pipe, LAYOUT), one) and torch.equal(drawn(pipe, [LAYOUT]), one)
    assert torch.equal(drawn(pipe, (LAYOUT,)), one)
    with pytest.raises(InputError, match="layouts: are given twice"):
        pipe(LAYOUT, LAYOUT)
    assert [one.caption for one in sample_layouts(["a", "b"], [LAYOUT, OTHER], None)] == ["a", "b"]
    with pytest.raises(InputError, match="layouts: holds a str"):
        pipe([LAYOUT, "a"])  # type: ignore[list-item]


def test_negative_prompts(pipe: AMDMPipeline) -> None:
    both, seeds = [LAYOUT, OTHER], [torch.Generator().manual_seed(k) for k in (0, 1)]

    def made(**given: Any) -> torch.Tensor:
        for k, one in enumerate(seeds):
            one.manual_seed(k)
        return pipe(both, generator=seeds, output_type="latent", **given).images

    one, other = (made(negative_prompt=text) for text in ("a red ring", "a blue cross"))
    assert torch.equal(made(negative_prompt=["a red ring"]), one)
    assert torch.equal(made(negative_prompt=("a red ring",) * 2), one)
    mixed = made(negative_prompt=["a red ring", "a blue cross"])
    torch.testing.assert_close(mixed, torch.stack([one[0], other[1]]), atol=1e-4, rtol=0)
    assert (one - other).flatten(1).abs().amax(1).min() > 1e-3
    assert sample_negatives(["a", "b"], 2, 2) == ["a", "a", "b", "b"]
    for given, what in (
        (["a"] * 3, "there are 3 for 2 layouts"),
        ([], "there are 0"),
        ([1, 2], "must be a text"),
        (3, ""),
    ):
        with pytest.raises(InputError, match=f"negative_prompt: {what}"):
            made(negative_prompt=given)


@pytest.mark.parametrize("preset", ["interactdiffusion+migc", "migc"])
def test_latents_without_a_generator_decide_the_whole_picture(preset: str) -> None:
    both = loaded(preset)
    latents = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    first = both([LAYOUT, OTHER], latents=latents, output_type="latent").images
    torch.manual_seed(77)
    assert torch.equal(both([LAYOUT, OTHER], latents=latents, output_type="latent").images, first)
    alone = both(OTHER, latents=latents[1:], output_type="latent").images
    torch.testing.assert_close(alone, first[1:], atol=1e-4, rtol=0)
    assert sample_keys(None, 2, latents) != sample_keys(None, 2, latents + 1)
    keyed = sample_keys(torch.Generator().manual_seed(0), 1, latents[:1])
    assert keyed == sample_keys(torch.Generator().manual_seed(0), 1)


def test_pictures_of_diffusers_arguments_are_arrays(pipe: AMDMPipeline) -> None:
    assert isinstance(pipe(LAYOUT, output_type="np").images, np.ndarray)


@pytest.mark.parametrize("kind", [DPMSolverMultistepScheduler, HeunDiscreteScheduler])
def test_the_bar_ends_at_the_number_of_steps(pipe: AMDMPipeline, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heun evaluates a model twice in each step but the last."""
    made: list[Any] = []

    def bar(own: AMDMPipeline, total: int) -> Any:
        made.append(tqdm(total=total, file=StringIO()))
        return made[-1]

    monkeypatch.setattr(AMDMPipeline, "progress_bar", bar)
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    seen: list[int] = []
    drawn(pipe, num_inference_steps=3, callback_on_step_end=lambda *_: seen.append(made[0].n) or {})
    assert made[0].n == made[0].total == 3
    assert seen == ([1, 2, 3] if kind is DPMSolverMultistepScheduler else [1, 1, 2, 2, 3])
