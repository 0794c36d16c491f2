"""Recorded runs of the authors' sampling loop, and of the paper's algorithm, on toy denoisers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from amdm.aggregation import official, paper
from amdm.sampler import Branch, Step, sample
from tests.conftest import recorded_folder

TARGET_FIRST = ("interact", "migc", "ip")


def cases(kind: str) -> list[tuple[str, str]]:
    found = sorted(recorded_folder("AMDM_REFERENCE_DIR", "reference").glob(f"aggregation*_{kind}_*.npz"))
    return [tuple(path.stem.split(f"_{kind}_", 1)) for path in found]  # type: ignore[misc]


class Toy:
    """eps = tanh(x·A + b·t/1000) for both halves, and classifier-free guidance."""

    def __init__(self, arrays: dict[str, np.ndarray], name: str, guidance: float, dtype: torch.dtype) -> None:
        self.parts = {
            half: tuple(torch.from_numpy(arrays[f"{name}_{part}_{half}"]).to(dtype) for part in "Ab")
            for half in ("uncond", "cond")
        }
        self.guidance = guidance

    def __call__(self, x: torch.Tensor, t: int, i: int) -> torch.Tensor:
        uncond, cond = (
            torch.tanh(x.flatten() @ matrix + (t / 1000) * shift).view_as(x) for matrix, shift in self.parts.values()
        )
        return uncond + self.guidance * (cond - uncond)


def branches(
    folder: Path, stem: str, meta: dict[str, Any], guidance: float, dtype: torch.dtype, same_noise: bool
) -> list[Branch]:
    arrays = dict(np.load(folder / f"{stem}_denoisers.npz"))
    made = []
    for name in (name for name in TARGET_FIRST if f"{name}_init" in arrays):
        scheduler = DDIMScheduler(**meta["scheduler"])
        if dtype == torch.float64:
            exact = dict(np.load(folder / "scheduler_ddim.npz"))
            scheduler.alphas_cumprod = torch.from_numpy(exact["alphas_cumprod_float64"])
            scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
        start = torch.from_numpy(arrays["migc_init" if same_noise else f"{name}_init"]).to(dtype)
        made.append(Branch(name, Toy(arrays, name, guidance, dtype), scheduler, start))
    return made


def relative(ours: torch.Tensor, recorded: np.ndarray) -> float:
    return float(np.linalg.norm(ours.double().numpy() - recorded) / np.linalg.norm(recorded))


def run(made: list[Branch], steps: int, config: Any) -> list[Step]:
    seen: list[Step] = []
    sample(made, steps, config, callback=lambda step: seen.append(step))
    return seen


def compare(
    seen: list[Step], made: list[Branch], recorded: dict[str, np.ndarray], parts: dict[str, str], bound: float
) -> None:
    """Whole arrays, over the steps in which the model was evaluated: recorded auxiliaries run on, ours stop."""
    for branch in made:
        own = [step for step in seen if branch.name in step.stepped]
        if not own:  # s = 0
            continue
        for part, attribute in parts.items():
            ours = torch.stack([getattr(step, attribute)[branch.name] for step in own])
            assert relative(ours, recorded[f"{branch.name}_{part}"][[step.index for step in own]]) <= bound, part
    if aggregated := [step.mixed for step in seen if step.mixed is not None]:
        assert relative(torch.stack(aggregated), recorded["mixed"]) <= bound


@pytest.mark.parametrize(("stem", "name"), cases("official"))
def test_official(reference_dir: Path, stem: str, name: str) -> None:
    meta = json.loads((reference_dir / f"{stem}.json").read_text())
    case = meta["official_cases"][name]
    recorded = dict(np.load(reference_dir / f"{stem}_official_{name}.npz"))
    made = branches(reference_dir, stem, meta, case["guidance"], torch.float32, case.get("same_initial_noise", False))
    if not case["is_mixed"]:
        for branch in made:
            seen = run([branch], case["steps"], None)
            assert relative(seen[-1].leaving[branch.name], recorded[f"{branch.name}_final"]) <= 1e-5
        return
    first = max(1, case["optim_start"])  # the official code never aggregates at i = 0
    last = min(case["optim_end"], case["steps"] - 1)
    weights = [case["omega"]] if "omega" in case else [case["omega1"], case["omega2"]]
    eta = [case["p"][branch.name] for branch in made]
    seen = run(made, case["steps"], official(last - first + 1, weights, eta, first_step=first))
    aggregated = [step for step in seen if step.mixed is not None]
    assert [step.index for step in aggregated] == recorded["aggregated_steps"].tolist()
    compare(seen, made, recorded, {"in": "entering", "eps": "prediction", "step": "stepped", "out": "leaving"}, 1e-5)
    for branch in made:
        means = torch.stack([step.mean[branch.name] for step in aggregated])
        assert relative(means, recorded[f"{branch.name}_mu"]) <= 1e-5
    assert relative(seen[-1].leaving["interact"], recorded["interact_final"]) <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("stem", "name"), cases("paper"))
def test_paper(reference_dir: Path, stem: str, name: str, dtype: torch.dtype) -> None:
    meta = json.loads((reference_dir / f"{stem}.json").read_text())
    case = meta["paper_cases"][name]
    recorded = dict(np.load(reference_dir / f"{stem}_paper_{name}.npz"))
    bound = 1e-5 if dtype == torch.float32 else 1e-10
    made = branches(reference_dir, stem, meta, case["guidance"], dtype, case.get("same_initial_noise", False))
    made.sort(key=lambda branch: case["order"].index(branch.name))
    for branch in made:
        branch.latents = torch.from_numpy(recorded[f"{branch.name}_in"][0]).to(dtype)
    seen = run(made, case["steps"], paper(case["s"], case["omegas"], [case["p"][branch.name] for branch in made]))
    # The paper's mean is the model's own DDIM result of the step.
    compare(seen, made, recorded, {"in": "entering", "eps": "prediction", "mu": "stepped", "out": "leaving"}, bound)
    assert relative(seen[-1].leaving[made[0].name], recorded[f"{made[0].name}_final"]) <= bound
