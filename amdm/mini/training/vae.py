"""Training of the mini world's autoencoder (diffusers' AutoencoderTiny), with a reconstruction loss alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch.nn.functional import mse_loss

from amdm.mini.scene_stream import as_tensor_range, combined_scene, scene_batches
from amdm.mini.sizes import build_vae
from amdm.mini.training.tools import (
    AveragedWeights,
    LossLog,
    cosine_rate,
    load_checkpoint,
    low_precision,
    save_checkpoint,
)
from amdm.progress import Progress

BATCH = 32
CHECKPOINT_EVERY = 500
LATENT_NOISE = 0.1
"""Standard deviation added to the latents in training: the decoder learns to read what a diffusion model writes."""


def train_vae(folder: Path, steps: int, seed: int, device: torch.device) -> AutoencoderTiny:
    """Train (or go on) for ``steps`` in all; returns the averaged weights (latent channels: mean 0, deviation 1)."""
    torch.manual_seed(seed)
    vae = build_vae().to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=2e-3, weight_decay=1e-4, betas=(0.9, 0.99))
    averaged, log, path = AveragedWeights(vae.parameters(), 0.999), LossLog(folder / "vae.csv"), folder / "vae.pt"
    first = 0
    if state := load_checkpoint(path):
        vae.load_state_dict(state["vae"])
        optimiser.load_state_dict(state["optimiser"])
        averaged.average, first = [a.to(device) for a in state["average"]], state["step"]
        _set_generator(device, state["generator"])
    batches = scene_batches("generators:vae", seed, first * BATCH, BATCH, combined_scene)
    for step in Progress(range(first + 1, steps + 1), initial=first, total=steps, desc="autoencoder", unit="step"):
        images = as_tensor_range(np.stack([rendering.image for _, rendering in next(batches)]))
        loss, spread = _losses(vae, torch.from_numpy(images).to(device, memory_format=torch.channels_last))
        optimiser.zero_grad(set_to_none=True)
        (loss + 0.02 * spread).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * cosine_rate(step, steps)
        optimiser.step()
        averaged.update(step)
        log.add(step, {"mse": loss.item(), "spread": spread.item()})
        if step % CHECKPOINT_EVERY == 0 or step == steps:
            state = {"vae": vae.state_dict(), "optimiser": optimiser.state_dict(), "average": averaged.average}
            save_checkpoint(path, {**state, "step": step, "generator": _generator(device)})
    averaged.swap()
    return vae.float()


def _generator(device: torch.device) -> torch.Tensor:
    """State of the generator that the noise comes from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_generator(device: torch.device, state: torch.Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _losses(vae: AutoencoderTiny, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean squared error of the pictures in [−1, 1], and how far latent channels are from mean 0 and deviation 1."""
    with low_precision(images.device):
        latents = vae.encoder(images).float()
        decoded = vae.decoder(latents + LATENT_NOISE * torch.randn_like(latents)).float()
    channels = latents.transpose(0, 1).flatten(1)
    spread = channels.mean(1).pow(2).mean() + (channels.std(1) - 1).pow(2).mean()
    return mse_loss(decoded, images), spread


@torch.no_grad()
def reconstruction_psnr(vae: AutoencoderTiny, seed: int, scenes: int = 256) -> float:
    """PSNR in dB of reconstructed 8-bit pictures of scenes that no training uses."""
    images = np.stack([combined_scene("held-out", seed, index)[1].image for index in range(scenes)])
    decoded = vae.decode(vae.encode(torch.from_numpy(as_tensor_range(images))).latents).sample
    error = (decoded.clamp(-1, 1) - torch.from_numpy(as_tensor_range(images))).div(2).pow(2).mean()
    return float(-10 * torch.log10(error))
