"""Third stage, on texts alone: a category's name gets its place amid the coloured phrases of that category.

CLIP's tower, trained on captions with and without colours, puts "a cross" near "a red cross". Ours learned the two
apart: InteractDiffusion trained it on category-only phrases, MIGC on coloured ones. Here the pooled embedding of
"a cross" moves to the mean of those of "a red cross", "a blue cross", …; all else that the models read stays in place.

The words of the actions, which no caption holds, get places far from each other: left as they are, their pooled
embeddings are nearly one (correlations above 0.98), and a position net cannot tell them apart.
"""

from __future__ import annotations

import copy

import torch

from amdm.mini.models import MiniModels
from amdm.mini.scenes import sample_scene, scene_generator
from amdm.mini.sizes import WIDTH
from amdm.mini.training.controls import load_average, modules
from amdm.mini.training.tools import LossLog, cosine_rate, save_checkpoint, stage_checkpoint
from amdm.mini.training.trainer import Job
from amdm.mini.vocabulary import ACTIONS, CATEGORIES, COLOURS, label
from amdm.models.text import PhraseEncoder
from amdm.progress import Progress

CAPTIONS = 64
"""Captions a step, new ones each time."""

KEEP = 10.0
"""Weight of what must stay: base and MIGC read it as they were trained on it."""


def train_text(rank: int, job: Job) -> None:
    """Train in the first process, the others have nothing to do; the result is the checkpoint ``text.pt``."""
    path = job.folder / "text.pt"
    if rank > 0 or path.exists():
        return
    torch.manual_seed(job.seed)
    before = second_stage_tower(job)
    after = PhraseEncoder(copy.deepcopy(before.text_encoder), before.tokenizer)
    optimiser = torch.optim.AdamW(after.text_encoder.parameters(), lr=job.rate, weight_decay=0.0)
    log = LossLog(job.folder / "text.csv")
    for step in Progress(range(1, job.steps + 1), "text"):
        moved, kept = losses(before, after, captions(job.seed, step))
        apart = (after.encode_fresh(ACTIONS)[1] - action_places(job.seed)).pow(2).mean()
        for group in optimiser.param_groups:
            group["lr"] = job.rate * cosine_rate(step, job.steps)
        optimiser.zero_grad(set_to_none=True)
        (moved + apart + KEEP * kept).backward()
        optimiser.step()
        log.add(step, {"moved": moved.item(), "kept": kept.item(), "apart": apart.item()})
    save_checkpoint(path, after.text_encoder.state_dict())


def losses(before: PhraseEncoder, after: PhraseEncoder, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared distance of category phrases to where they belong, and of all else to where it was."""
    coloured = [label(colour, category) for category in CATEGORIES for colour in COLOURS]
    with torch.no_grad():
        hidden, pooled = before.encode_fresh([*texts, "", *coloured])
    centres = pooled[-len(coloured) :].unflatten(0, (len(CATEGORIES), len(COLOURS))).mean(1)
    kept = after.encode_fresh([*texts, "", *coloured])[0]
    moved = after.encode_fresh([f"a {category}" for category in CATEGORIES])[1]
    return (moved - centres).pow(2).mean(), (kept - hidden).pow(2).mean()


def action_places(seed: int) -> torch.Tensor:
    """Where the pooled embeddings of the actions belong (N, D): at right angles, of a text's norm, about √D."""
    random = torch.randn(WIDTH, len(ACTIONS), generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(random)[0].T * WIDTH**0.5


def captions(seed: int, step: int) -> list[str]:
    """Captions of scenes that no other stage draws."""
    streams = (scene_generator("texts", seed, step * CAPTIONS + k) for k in range(CAPTIONS))
    return [sample_scene(rng, int(rng.integers(1, 7))).caption for rng in streams]


def second_stage_tower(job: Job) -> PhraseEncoder:
    """The text tower as the second stage left it."""
    models = MiniModels()
    load_average(job, "controls", modules(models))
    return PhraseEncoder(models.text.text_encoder.eval(), models.text.tokenizer)


def trained_tower(job: Job) -> dict[str, torch.Tensor]:
    """The state dict that :func:`train_text` left."""
    return stage_checkpoint(job.folder, "text")
