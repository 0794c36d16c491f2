"""One process of a diffusion training: data, gradients shared with its fellows, averaged weights, resume."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderTiny
from torch import nn

from amdm.mini.marks import SIZE, strip
from amdm.mini.renderer import Rendering
from amdm.mini.scene_stream import Draw, ahead, as_tensor_range, scene_batches, training_scene
from amdm.mini.scenes import Scene
from amdm.mini.sizes import build_scheduler, build_vae
from amdm.mini.training.tools import (
    AveragedWeights,
    LossLog,
    cosine_rate,
    float32_attention,
    load_checkpoint,
    low_precision,
    save_checkpoint,
    stage_checkpoint,
)
from amdm.progress import Progress

CHECKPOINT_EVERY = 100
MARK_WEIGHT = 5.0
SMALL_BOX = 0.15  # of the picture; smaller boxes weigh more in the loss

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Job:
    """A training: ``steps`` optimiser steps, each on ``batch`` scenes in each of ``world`` processes."""

    folder: Path
    steps: int
    seed: int
    batch: int
    rate: float
    device: str = "cpu"
    world: int = 1


class Trainer(ABC):
    """Subclasses say what is trained (``modules``) and how a batch is judged (``training_loss``)."""

    name: str
    modules: tuple[nn.Module, ...]
    draw: Draw = staticmethod(training_scene)

    def __init__(self, job: Job, rank: int) -> None:
        self.job, self.rank, self.device = job, rank, torch.device(job.device)
        self.alphas = build_scheduler().alphas_cumprod.to(self.device)
        self.vae = load_trained_vae(job.folder).to(self.device, memory_format=torch.channels_last)
        self.step = 0

    @abstractmethod
    def training_loss(
        self, step: int, scenes: list[Scene], clean: torch.Tensor, rng: np.random.Generator
    ) -> tuple[str, torch.Tensor]:
        """What is trained in ``step`` (the same in all processes) and its loss: scenes, clean latents (B, C, h, w)."""

    def run(self) -> None:
        """Train from the last checkpoint to the last step; leaves the averaged weights in the modules."""
        self.parameters = distinct_parameters(self.modules)
        self.optimiser = torch.optim.AdamW(self.parameters, lr=self.job.rate, betas=(0.9, 0.98), weight_decay=1e-2)
        self.averaged = AveragedWeights(self.parameters, 0.999)
        self._resume()
        log = LossLog(self.job.folder / f"{self.name}.csv")
        stream = f"generators:{self.name}:{self.rank}"
        batches = ahead(
            scene_batches(stream, self.job.seed, self.step * self.job.batch, self.job.batch, type(self).draw)
        )
        steps = range(self.step + 1, self.job.steps + 1)
        for step in Progress(steps, self.name, initial=self.step, total=self.job.steps, disable=self.rank > 0):
            found = self._optimise(step, next(batches))
            if self.rank == 0:
                log.add(step, found)
                if step % CHECKPOINT_EVERY == 0 or step == self.job.steps:
                    self._save()
        self.averaged.swap()

    def _optimise(self, step: int, batch: list[tuple[Scene, Rendering]]) -> dict[str, float]:
        torch.manual_seed(1_000_003 * self.job.seed + 7 * step + self.rank)
        images = torch.from_numpy(as_tensor_range(np.stack([rendering.image for _, rendering in batch])))
        with low_precision(self.device), float32_attention():
            with torch.no_grad():
                clean = self.vae.encoder(images.to(self.device, memory_format=torch.channels_last)).float()
            rng = np.random.default_rng([self.job.seed, step, self.rank])
            name, loss = self.training_loss(step, [scene for scene, _ in batch], clean, rng)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._share_gradients()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.job.rate * cosine_rate(step, self.job.steps)
        self.optimiser.step()
        self.averaged.update(step)
        self.step = step
        return {name: loss.item()}

    def loss(self, scenes: Sequence[Scene], clean: torch.Tensor, predict: Predict) -> torch.Tensor:
        """Weighted squared error of v at random timesteps: min(SNR+1, 6)/(SNR+1), and more inside small boxes."""
        t = torch.randint(0, len(self.alphas), (len(clean),), device=self.device)
        a = self.alphas[t].view(-1, 1, 1, 1)
        noise = torch.randn_like(clean)
        v = a.sqrt() * noise - (1 - a).sqrt() * clean
        error = (predict(a.sqrt() * clean + (1 - a).sqrt() * noise, t).float() - v).pow(2)
        snr = a / (1 - a)
        weight = (snr + 1).clamp(max=6) / (snr + 1) * box_weights(scenes, clean.shape[-1]).to(self.device)
        return (weight * error).mean()

    def _share_gradients(self) -> None:
        if self.job.world > 1:
            # What this step does not train has no gradient in any process, and the optimiser leaves it alone.
            gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            parts = (flat / self.job.world).split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def _save(self) -> None:
        weights = [parameter.detach() for parameter in self.parameters]
        state = {"weights": weights, "average": self.averaged.average, "optimiser": self.optimiser.state_dict()}
        save_checkpoint(self.job.folder / f"{self.name}.pt", {**state, "step": self.step})

    def _resume(self) -> None:
        if state := load_checkpoint(self.job.folder / f"{self.name}.pt"):
            with torch.no_grad():
                for parameter, value in zip(self.parameters, state["weights"], strict=True):
                    parameter.copy_(value)
            self.averaged.average = [value.to(self.device) for value in state["average"]]
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]


def distinct_parameters(modules: Sequence[nn.Module]) -> list[nn.Parameter]:
    """The parameters of modules that may share some, each once, in order of first appearance."""
    return list({id(p): p for module in modules for p in module.parameters()}.values())


def load_trained_vae(folder: Path) -> AutoencoderTiny:
    """The autoencoder that :func:`amdm.mini.training.vae.train_vae` left in ``folder``, frozen.

    Raises:
        InputError: it left none.
    """
    vae = build_vae()
    vae.load_state_dict(stage_checkpoint(folder, "vae-averaged"))
    return vae.requires_grad_(False).eval()


def box_weights(scenes: Sequence[Scene], size: int) -> torch.Tensor:
    """Loss weights (B, 1, size, size), mean 1: a box adds up to 4, the more the smaller it is, and a mark 4."""
    weights = np.ones((len(scenes), 1, size, size), dtype=np.float32)
    for row, scene in zip(weights, scenes, strict=True):
        for one in scene.objects:
            x1, y1, x2, y2 = one.box
            columns = slice(int(x1 * size), int(np.ceil(x2 * size)))
            lines = slice(int(y1 * size), int(np.ceil(y2 * size)))
            weight = 1 + min(4.0, (SMALL_BOX / ((x2 - x1) * (y2 - y1))) ** 0.5)
            row[0, lines, columns] = np.maximum(row[0, lines, columns], weight)
        for action in scene.actions:
            area = strip(scene.objects[action.subject].box, scene.objects[action.object].box)
            cells = area.reshape(size, SIZE // size, size, SIZE // size).any((1, 3))
            row[0, cells] = np.maximum(row[0, cells], MARK_WEIGHT)
    return torch.from_numpy(weights / weights.mean((1, 2, 3), keepdims=True))
