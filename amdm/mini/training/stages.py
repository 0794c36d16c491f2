"""All stages of the training of the mini models, in order; each resumes where it stopped."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import torch
from tqdm import tqdm

from amdm.io.files import make_folder
from amdm.io.lock import lock_file
from amdm.mini.training.base import train_base
from amdm.mini.training.combined import train_combined
from amdm.mini.training.controls import train_controls
from amdm.mini.training.grounding import train_grounding
from amdm.mini.training.images import train_images
from amdm.mini.training.processes import run_processes
from amdm.mini.training.settings import begin_or_resume
from amdm.mini.training.text import train_text
from amdm.mini.training.tools import save_checkpoint
from amdm.mini.training.trainer import Job, load_trained_vae
from amdm.mini.training.vae import reconstruction_psnr, train_vae
from amdm.model_set import require_device

VAE_STEPS, BASE_STEPS, CONTROL_STEPS, TEXT_STEPS, GROUNDING_STEPS = 3500, 1200, 2200, 2000, 800
IMAGE_STEPS, COMBINED_STEPS = 400, 5000
BATCH = 64
"""Scenes a step, over all processes."""


def train_mini(folder: Path, seed: int = 0, device: str = "cpu", shorten: float = 1.0) -> Path:
    """Autoencoder, base, controls, text, grounding, images, combined. Returns the folder of the trained weights.

    Args:
        folder: checkpoints, losses (CSV) and the final ``weights/``.
        device: "cpu" (a process a core, at most two) or "cuda" (one process).
        shorten: factor on the numbers of steps, for a trial.

    Raises:
        InputError: there is no such device, or the folder has a training with other settings, or one that is running.
    """
    require_device(device)
    make_folder(folder)
    with closing(lock_file(folder)):
        _all_stages(folder, seed, device, shorten)
    return folder / "weights"


def _all_stages(folder: Path, seed: int, device: str, shorten: float) -> None:
    kind = torch.device(device).type
    world = min(2, os.cpu_count() or 1) if kind == "cpu" else 1
    begin_or_resume(folder / "vae.pt", seed=seed, shorten=shorten, device=kind, processes=world)
    averaged = folder / "vae-averaged.pt"
    if not averaged.exists():
        vae = train_vae(folder, max(1, int(VAE_STEPS * shorten)), seed, torch.device(device)).cpu()
        save_checkpoint(averaged, vae.state_dict())
    tqdm.write(f"autoencoder: {reconstruction_psnr(load_trained_vae(folder), seed):.2f} dB on held-out scenes")
    for stage, steps, batch, rate in (
        (train_base, BASE_STEPS, BATCH, 1.2e-3),
        (train_controls, CONTROL_STEPS, BATCH, 1.2e-3),
        (train_text, TEXT_STEPS, BATCH, 1e-3),
        (train_grounding, GROUNDING_STEPS, BATCH, 1e-3),
        (train_images, IMAGE_STEPS, BATCH * world, 1e-3),  # one process trains it
        (train_combined, COMBINED_STEPS, BATCH // 2, 7e-4),
    ):
        steps = max(1, int(steps * shorten))
        run_processes(stage, Job(folder, steps, seed, batch // world, rate, device, world))
