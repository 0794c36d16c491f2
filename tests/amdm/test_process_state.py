"""Pictures do not depend on what the process is set to, and neither loading nor calls change the process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from amdm.layout import Instance, Layout
from amdm.loading import fresh_models, load_models
from amdm.mini.models import MiniModels
from amdm.mini.sizes import build_scheduler
from amdm.model_set import LoadOptions
from amdm.models.text import PhraseEncoder
from amdm.noise import initial_noise, permutation
from amdm.pipeline import AMDMPipeline
from amdm.process_state import as_in_a_fresh_process
from amdm.sampler import BoundModel, aggregate_sample
from tests.amdm.models.test_every_model import KEYS, STEPS, build, request

CROSS, RING = Instance("a red cross", (0.1, 0.1, 0.5, 0.5)), Instance("a blue ring", (0.5, 0.5, 0.9, 0.9))
LAYOUT = Layout("a photo of a red cross and a blue ring ", (CROSS, RING))


def picture(preset: str = "interactdiffusion+migc") -> torch.Tensor:
    """Loaded and drawn from nothing."""
    steps = "settings.all.num_inference_steps=5"
    pipe = AMDMPipeline.from_pretrained("mini", preset, overrides=[steps])
    pipe.set_progress_bar_config(disable=True)
    return pipe(LAYOUT, generator=torch.Generator("cpu").manual_seed(0), output_type="pt").images


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "default dtype": default_dtype,
    "default device": default_device,
    "device context": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no gradients": lambda: torch.set_grad_enabled(False),
    "inference mode": torch.inference_mode,
    "deterministic": deterministic,
}
states = pytest.mark.parametrize("state", list(STATES))


@pytest.fixture(scope="module")
def plain() -> torch.Tensor:
    return picture()


@states
def test_loading_and_calling_give_the_same_picture(state: str, plain: torch.Tensor) -> None:
    with STATES[state]():
        found = picture()
    assert found.dtype == plain.dtype and torch.equal(found, plain)


@states
@pytest.mark.parametrize("name", ["stable_diffusion", "interactdiffusion", "gligen", "migc", "ip-adapter"])
def test_every_model_bound_and_sampled(state: str, name: str) -> None:
    model, scheduler = build(name), build_scheduler()
    noise = initial_noise(KEYS, name, (8, 16, 16))

    def sampled() -> torch.Tensor:
        return aggregate_sample([BoundModel(name, model.bind(request(model)), scheduler, noise)], STEPS).latents[name]

    with torch.no_grad():
        expected = sampled()
    model.text.forget()
    with torch.no_grad(), STATES[state]():
        found = sampled()
    assert torch.equal(found, expected)


@states
def test_keyed_numbers(state: str) -> None:
    noise, order = initial_noise(["a"], "m", (2, 3)), permutation("a", 9, 1)
    with STATES[state]():
        again, other = initial_noise(["a"], "m", (2, 3)), permutation("a", 9, 1)
    assert again.dtype == torch.float32 and torch.equal(again, noise) and torch.equal(other, order)


@states
def test_what_was_encoded_under_it_does_not_stay(state: str) -> None:
    text = build("stable_diffusion").text
    expected = text.encode(["a red ring"])
    fresh = PhraseEncoder(text.text_encoder, text.tokenizer)
    with STATES[state]():
        fresh.encode(["a red ring"])
    assert all(torch.equal(*pair) for pair in zip(fresh.encode(["a red ring"]), expected, strict=True))


def test_loading_and_calling_leave_the_generators_alone() -> None:
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    picture("migc")
    load_models("mini", ("interactdiffusion",), LoadOptions())
    fresh_models("mini", ("migc",))
    MiniModels.load()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # type: ignore[index]


def test_loading_leaves_the_default_dtype_as_it_was_also_after_an_error() -> None:
    with default_dtype():
        with pytest.raises(RuntimeError, match="mine"), as_in_a_fresh_process():
            assert torch.get_default_dtype() == torch.float32
            raise RuntimeError("mine")
        assert torch.get_default_dtype() == torch.float64
        picture("migc")
        assert torch.get_default_dtype() == torch.float64
