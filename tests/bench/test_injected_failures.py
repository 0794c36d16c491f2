"""Failures injected into a real method of the mini world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from amdm.layout import Layout
from amdm.methods import Method, load_methods
from amdm.sampler import Step
from bench.job.batches import groups
from bench.run.read import read_table
from bench.stages.generate import GroupWorker
from tests.bench.fakes import small_run, small_set
from tests.closeness import PROMISED

METHOD = "interactdiffusion+migc"
Alter = Callable[[Step, Sequence[str]], None]


@pytest.fixture(scope="module")
def method() -> Method:
    return load_methods("mini", [METHOD], ["settings.all.num_inference_steps=4"])[METHOD]


def generator(method: Method, most: int, latents: dict[str, torch.Tensor], alter: Alter | None = None) -> Any:
    """The method with memory for ``most`` samples; keeps the target's last latents by key."""

    def run(name: str, layouts: Sequence[Layout], keys: Sequence[str]) -> Any:
        if len(layouts) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        def on_step(step: Step) -> None:
            if alter is not None:
                alter(step, keys)
            latents.update(zip(keys, step.leaving["interactdiffusion"].clone(), strict=True))

        return method.generate(layouts, keys, on_step)

    return run


@pytest.mark.numeric
def test_halved_batches_give_the_latents_of_whole_ones(method: Method) -> None:
    (group,) = groups(small_set(5), [METHOD], (0,), 8)
    found: list[dict[str, torch.Tensor]] = []
    for most in (5, 2):
        found.append({})
        result = GroupWorker(lambda most=most: generator(method, most, found[-1]))(group)  # type: ignore[misc]
        assert [one.batch_size for one in result.outcomes] == ([5] * 5 if most == 5 else [2, 2, 1, 2, 2])
        assert all(one.image is not None for one in result.outcomes)
    whole, halves = found
    assert whole.keys() == halves.keys() == set(group.keys())
    for key in whole:
        assert (whole[key] - halves[key]).abs().max() <= PROMISED
        assert whole[key].abs().max() > 0.1


def test_a_sample_with_nan_latents_fails_alone(method: Method, tmp_path: Path) -> None:
    def poison(step: Step, keys: Sequence[str]) -> None:
        for k, key in enumerate(keys):
            if key.split("/")[1] == "1" and step.index == 1:
                step.leaving["interactdiffusion"][k, 0, 0, 0] = float("nan")

    made: dict[str, torch.Tensor] = {}
    failed = small_run(tmp_path / "run", count=5, methods=(METHOD,), factory=lambda: generator(method, 9, made, poison))
    samples = read_table(tmp_path / "run", "samples").set_index("layout_index")
    assert failed == 1 and samples.status.to_dict() == {k: "failed" if k == 1 else "ok" for k in samples.index}
    assert samples.loc[1, "error"] == "NaN or infinity in the latents or the picture" and pd.isna(
        samples.loc[1, "image"]
    )
    assert len(list((tmp_path / "run").rglob("*.png"))) == 4


def test_the_memory_of_a_failed_batch_is_let_go_before_its_halves_are_tried() -> None:
    alive: list[int] = []

    class Tensor:
        def __init__(self) -> None:
            alive.append(id(self))

        def __del__(self) -> None:
            alive.remove(id(self))

    def run(name: str, layouts: Sequence[Layout], keys: Sequence[str]) -> Any:
        assert not alive, "the failed batch's tensors are still held"
        held = Tensor()
        if len(layouts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        del held
        return SimpleNamespace(images=[None], finite=[True], evaluations={})

    (group,) = groups(small_set(5), ["m"], (0,), 8)
    result = GroupWorker(lambda: run)(group)
    assert [one.attempts for one in result.outcomes] == [1] * 5
    assert all("out of memory" in event for event in result.events)
