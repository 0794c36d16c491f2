"""All stages of the training of the mini models, in order; each resumes where it stopped."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from tqdm import tqdm

from amdm.mini.train_base import train_base
from amdm.mini.train_controls import train_controls
from amdm.mini.train_grounding import train_grounding
from amdm.mini.train_text import train_text
from amdm.mini.train_vae import reconstruction_psnr, train_vae
from amdm.mini.trainer import Job, load_trained_vae, run_processes
from amdm.mini.training import save_checkpoint

VAE_STEPS, BASE_STEPS, CONTROL_STEPS, TEXT_STEPS, GROUNDING_STEPS = 3500, 1200, 2200, 2000, 800
BATCH = 64
"""Scenes a step, over all processes."""


def train_mini(folder: Path, seed: int = 0, device: str = "cpu", shorten: float = 1.0) -> Path:
    """Autoencoder, base, controls, text, grounding. Returns the folder of the trained weights.

    Args:
        folder: checkpoints, losses (CSV) and the final ``weights/``.
        device: "cpu" (a process a core, at most two) or "cuda" (one process).
        shorten: factor on the numbers of steps, for a trial.
    """
    folder.mkdir(parents=True, exist_ok=True)
    averaged = folder / "vae-averaged.pt"
    if not averaged.exists():
        vae = train_vae(folder, max(1, int(VAE_STEPS * shorten)), seed, torch.device(device)).cpu()
        save_checkpoint(averaged, vae.state_dict())
    tqdm.write(f"autoencoder: {reconstruction_psnr(load_trained_vae(folder), seed):.2f} dB on held-out scenes")
    world = min(2, os.cpu_count() or 1) if device == "cpu" else 1
    for stage, steps, rate in (
        (train_base, BASE_STEPS, 1.2e-3),
        (train_controls, CONTROL_STEPS, 1.2e-3),
        (train_text, TEXT_STEPS, 1e-3),
        (train_grounding, GROUNDING_STEPS, 1e-3),
    ):
        steps = max(1, int(steps * shorten))
        run_processes(stage, Job(folder, steps, seed, BATCH // world, rate, device, world))
    return folder / "weights"
