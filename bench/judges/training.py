"""Training of the judges of actions and styles, on no generated picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import nn
from torch.nn.functional import cross_entropy

from amdm.io.files import make_folder
from amdm.layout import Box
from amdm.mini.marks import SIZE, strip
from amdm.mini.scene_stream import Batch, combined_scene, scene_batches
from amdm.mini.scenes import Scene
from amdm.mini.training.settings import begin_or_resume
from amdm.mini.training.softening import roughened, softened
from amdm.mini.training.tools import LossLog, cosine_rate, load_checkpoint, save_checkpoint
from amdm.mini.vocabulary import DIRECTED, STYLES
from amdm.progress import Progress
from bench.io.recorded_weights import save_recorded
from bench.judges.action import ACTION_WEIGHTS, CLASSES, build_action_network, straightened
from bench.judges.style import STYLE_WEIGHTS, build_style_network

STREAM = "judges"
STEPS, BATCH, RATE = 120, 64, 3e-3
SOFTENED = 2 / 3  # share of pictures that go through the generators' autoencoder, with noise on the latents
IDLE_PAIRS = 3
"""Of each picture, at most: pairs without an action."""
_MAX_FOREIGN = 0.25
_EVERY = 20

Ends = tuple[Box, Box]


def train_judges(folder: Path, weights: Path, vae: AutoencoderTiny, seed: int = 0, steps: int = STEPS) -> None:
    """Train both judges on the same pictures (or go on), then write fp16 weights and their SHA-256 to ``weights/``.

    Raises:
        InputError: the folder has judges that were trained with another seed or another number of steps.
    """
    make_folder(folder)
    begin_or_resume(folder / "judges.pt", seed=seed, steps=steps)
    torch.manual_seed(seed)
    action, style = build_action_network().train(), build_style_network().train()
    networks = nn.ModuleList((action, style))
    optimiser = torch.optim.AdamW(networks.parameters(), lr=RATE, weight_decay=1e-2)
    log, path, first = LossLog(folder / "judges.csv", every=_EVERY), folder / "judges.pt", 0
    if state := load_checkpoint(path):
        networks.load_state_dict(state["networks"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    batches = scene_batches(STREAM, seed, first * BATCH, BATCH, combined_scene)
    for step in Progress(range(first + 1, steps + 1), "judges", initial=first, total=steps):
        torch.manual_seed(1_000_003 * seed + step)
        losses = _losses(action, style, next(batches), vae, np.random.default_rng([seed, step]))
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros(())).backward()
        for group in optimiser.param_groups:
            group["lr"] = RATE * cosine_rate(step, steps, warmup=10)
        optimiser.step()
        log.add(step, {name: loss.item() for name, loss in losses.items()})
        if step % _EVERY == 0 or step == steps:
            state = {"networks": networks.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
            save_checkpoint(path, state)
    save_recorded(action.state_dict(), weights / ACTION_WEIGHTS.name)
    save_recorded(style.state_dict(), weights / STYLE_WEIGHTS.name)


def idle_pairs(scene: Scene, rng: np.random.Generator, most: int = IDLE_PAIRS) -> list[Ends]:
    """Boxes of up to ``most`` pairs without an action, in any order and at any distance.

    A pair whose strip shows much of another pair's mark is left out: it has no mark of its own, and looks as if.
    """
    boxes = [one.box for one in scene.objects]
    acting = {frozenset((one.subject, one.object)) for one in scene.actions}
    marked = np.zeros((SIZE, SIZE), dtype=bool)
    for one in scene.actions:
        marked |= strip(boxes[one.subject], boxes[one.object])
    pairs = [(a, b) for a in range(len(boxes)) for b in range(len(boxes)) if a != b and {a, b} not in acting]
    found: list[Ends] = []
    for k in rng.permutation(len(pairs)):
        ends = boxes[pairs[k][0]], boxes[pairs[k][1]]
        area = strip(*ends)
        if (area & marked).sum() <= _MAX_FOREIGN * area.sum():
            found.append(ends)
        if len(found) == most:
            break
    return found


def _losses(
    action: nn.Module, style: nn.Module, batch: Batch, vae: AutoencoderTiny, rng: np.random.Generator
) -> dict[str, torch.Tensor]:
    images = softened(np.stack([roughened(drawn.image, rng) for _, drawn in batch]), vae, rng, SOFTENED)
    pictures = images.mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    strips, classes = [], []
    for (scene, _), picture in zip(batch, pictures, strict=True):
        for ends, kind in _examples(scene, rng):
            strips.append(straightened(picture, *ends))
            classes.append(kind)
    values = torch.from_numpy(np.stack(strips)).permute(0, 3, 1, 2).float() / 255
    styles = torch.tensor([STYLES.index(scene.style) for scene, _ in batch])
    return {
        "action": cross_entropy(action(values), torch.tensor(classes)),
        "style": cross_entropy(style(images), styles),
    }


def _examples(scene: Scene, rng: np.random.Generator) -> list[tuple[Ends, int]]:
    """Pairs and their class: every action, seen from its subject or from its object, and pairs without one."""
    found = [(ends, CLASSES.index((None, False))) for ends in idle_pairs(scene, rng)]
    for one in scene.actions:
        ends = scene.objects[one.subject].box, scene.objects[one.object].box
        turned = rng.random() < 0.5
        kind = CLASSES.index((one.action, turned and one.action in DIRECTED))
        found.append((ends[::-1] if turned else ends, kind))
    return found
