"""Training of the mini judge, on scenes that no generator ever saw and on no generated picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torchvision.models.detection import MaskRCNN

from amdm.mini.renderer import SIZE, Rendering
from amdm.mini.scene_stream import scene_batches
from amdm.mini.scenes import Scene
from amdm.mini.training.settings import begin_or_resume
from amdm.mini.training.softening import roughened, softened
from amdm.mini.training.tools import AveragedWeights, LossLog, cosine_rate, load_checkpoint, save_checkpoint
from amdm.mini.vocabulary import CATEGORIES
from amdm.progress import Progress
from bench.detectors.mini import build_detector
from bench.io.recorded_weights import save_recorded

STREAM = "judge"
STEPS, BATCH, RATE = 900, 16, 1.5e-3
SOFTENED = 0.5  # share of pictures that go through the generators' autoencoder, with noise on the latents
Targets = list[dict[str, torch.Tensor]]


def train_detector(folder: Path, weights: Path, vae: AutoencoderTiny, seed: int = 0) -> MaskRCNN:
    """Train (or go on), then write fp16 weights with their SHA-256 to ``weights``.

    Raises:
        InputError: the folder has a detector that was trained with another seed.
    """
    begin_or_resume(folder / "judge.pt", seed=seed)
    torch.manual_seed(seed)
    model = build_detector().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-3)
    averaged, log, path = AveragedWeights(model.parameters(), 0.998), LossLog(folder / "judge.csv"), folder / "judge.pt"
    first = 0
    if state := load_checkpoint(path):
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        averaged.average, first = state["average"], state["step"]
    batches = scene_batches(STREAM, seed, first * BATCH, BATCH)
    for step in Progress(range(first + 1, STEPS + 1), "judge", initial=first, total=STEPS):
        torch.manual_seed(1_000_003 * seed + step)
        images, targets = _examples(next(batches), vae, np.random.default_rng([seed, step]))
        losses = model(images, targets)
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        for group in optimiser.param_groups:
            group["lr"] = RATE * cosine_rate(step, STEPS)
        optimiser.step()
        averaged.update(step)
        log.add(step, {name: loss.item() for name, loss in losses.items()})
        if step % 100 == 0 or step == STEPS:
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "average": averaged.average}
            save_checkpoint(path, {**state, "step": step})
    averaged.swap()
    save_recorded(model.state_dict(), weights)
    return model.eval()


def _examples(
    batch: list[tuple[Scene, Rendering]], vae: AutoencoderTiny, rng: np.random.Generator
) -> tuple[list[torch.Tensor], Targets]:
    images = np.stack([roughened(rendering.image, rng) for _, rendering in batch])
    return list(softened(images, vae, rng, SOFTENED)), [_target(*one) for one in batch]


def _target(scene: Scene, rendering: Rendering) -> dict[str, torch.Tensor]:
    """Boxes are the layout's, also where a nearer shape hides a part; masks are what is visible."""
    seen = torch.from_numpy(rendering.masks.any((1, 2)))
    boxes = torch.tensor([one.box for one in scene.objects], dtype=torch.float32) * SIZE
    labels = torch.tensor([1 + CATEGORIES.index(one.category) for one in scene.objects])
    return {
        "boxes": boxes[seen],
        "labels": labels[seen],
        "masks": torch.from_numpy(rendering.masks.astype(np.uint8))[seen],
    }
