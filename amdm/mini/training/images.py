"""The vision tower alone, on pictures: it learns which pictures are of one style, whatever stands in them.

CLIP's learned what pictures have in common from their captions. Ours has no captions that name a style, and learns
from pairs: supervised contrastive learning (Khosla et al., 2020, eq. 2), pictures of one style being positives.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize

from amdm.mini.scene_stream import ahead, combined_scene, scene_batches
from amdm.mini.sizes import build_image_encoder, build_image_processor
from amdm.mini.training.tools import LossLog, cosine_rate, save_checkpoint, stage_checkpoint
from amdm.mini.training.trainer import Job
from amdm.progress import Progress

TEMPERATURE = 0.1


def train_images(rank: int, job: Job) -> None:
    """Train in the first process, the others have nothing to do; the result is the checkpoint ``images.pt``."""
    path = job.folder / "images.pt"
    if rank > 0 or path.exists():
        return
    torch.manual_seed(job.seed)
    tower, processor = build_image_encoder(), build_image_processor()
    optimiser = torch.optim.AdamW(tower.parameters(), lr=job.rate, weight_decay=1e-2)
    log = LossLog(job.folder / "images.csv")
    batches = ahead(scene_batches("generators:images", job.seed, 0, job.batch, combined_scene))
    for step in Progress(range(1, job.steps + 1), "images"):
        batch = next(batches)
        pixels = processor([Image.fromarray(one.image) for _, one in batch], return_tensors="pt").pixel_values
        loss = contrastive_loss(tower(pixels).image_embeds, [scene.style for scene, _ in batch])
        for group in optimiser.param_groups:
            group["lr"] = job.rate * cosine_rate(step, job.steps, warmup=50)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        log.add(step, {"contrastive": loss.item()})
    save_checkpoint(path, tower.state_dict())


def contrastive_loss(embeddings: torch.Tensor, styles: list[str]) -> torch.Tensor:
    """Mean over anchors and their positives of −log softmax of the cosine over temperature; embeddings (B, D)."""
    likeness = normalize(embeddings.float(), dim=-1)
    likeness = likeness @ likeness.T / TEMPERATURE
    itself = torch.eye(len(styles), dtype=torch.bool)
    names = np.array(styles)
    positive = torch.from_numpy(names[:, None] == names[None]) & ~itself
    log_share = likeness.masked_fill(itself, -torch.inf).log_softmax(dim=1)
    return -log_share[positive].mean()


def trained_image_tower(job: Job) -> dict[str, torch.Tensor]:
    """The state dict that :func:`train_images` left."""
    return stage_checkpoint(job.folder, "images")
