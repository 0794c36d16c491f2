"""The judges of actions and styles: training, on no generated picture, and how often they are right elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import AutoencoderTiny
from torch import nn
from torch.nn.functional import cross_entropy

from amdm.layout import Box
from amdm.mini.marks import SIZE, strip
from amdm.mini.renderer import render
from amdm.mini.scene_stream import Batch, acting_scene, as_tensor_range, combined_scene, scene_batches, style_picture
from amdm.mini.scenes import Scene, scene_generator
from amdm.mini.training.softening import roughened, softened
from amdm.mini.training.tools import LossLog, cosine_rate, load_checkpoint, save_checkpoint
from amdm.mini.vocabulary import ACTIONS, DIRECTED, STYLES
from amdm.progress import Progress
from bench.io.recorded_weights import save_recorded
from bench.judges.action import ACTION_WEIGHTS, CLASSES, ActionJudge, build_action_network, straightened
from bench.judges.conditions import ActionReading
from bench.judges.style import STYLE_WEIGHTS, StyleJudge, build_style_network

STREAM = "judges"
STEPS, BATCH, RATE = 120, 64, 3e-3
SOFTENED = 2 / 3  # share of pictures that go through the generators' autoencoder, with noise on the latents
IDLE_PAIRS = 3
"""Of each picture, at most: pairs without an action."""
_MOST_FOREIGN = 0.25
_EVERY = 20

Ends = tuple[Box, Box]
HELD_OUT = "judges:held-out"
LEVELS = (2, 3, 4, 5, 6)
CONDITIONS: dict[str, float | None] = {
    "true rendering": None,
    "autoencoder": 0.0,
    "autoencoder, noise 0.2": 0.2,
    "autoencoder, noise 0.4": 0.4,
}
"""What the pictures went through → standard deviation of the noise on the latents, whose own is 1; None: nothing."""
ACTION_CLASSES = ("none", *ACTIONS, *(f"{action} reversed" for action in DIRECTED))
CASES_AT_ONCE = 50


def train_judges(folder: Path, weights: Path, vae: AutoencoderTiny, seed: int = 0, steps: int = STEPS) -> None:
    """Train both judges on the same pictures (or go on), then write fp16 weights and their SHA-256 to ``weights/``."""
    folder.mkdir(parents=True, exist_ok=True)
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
        if (area & marked).sum() <= _MOST_FOREIGN * area.sum():
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


@dataclass(frozen=True)
class Case:
    """A scene, its picture, the picture with the marks erased, and a reference picture of its style."""

    scene: Scene
    image: np.ndarray
    erased: np.ndarray
    reference: np.ndarray
    idle: list[tuple[Box, Box]]


def held_out_case(index: int) -> Case:
    """Case number ``index``: 2 to 6 objects, 1 to 3 actions, a style. The same index gives the same pictures."""
    rng = scene_generator(HELD_OUT, 0, index)
    scene = acting_scene(rng, LEVELS[index % len(LEVELS)])
    drawing, erasing, others = rng.spawn(3)
    erased = render(replace(scene, actions=()), erasing).image
    reference = style_picture(scene.style, others)
    return Case(scene, render(scene, drawing).image, erased, reference, idle_pairs(scene, others, most=1))


@torch.inference_mode()
def as_seen(images: Sequence[np.ndarray], vae: AutoencoderTiny, noise: float | None, seed: int) -> list[np.ndarray]:
    """uint8 (64, 64, 3) each, encoded and decoded again; as they are where ``noise`` is None."""
    if noise is None:
        return list(images)
    generator = torch.Generator().manual_seed(seed)
    latents = vae.encode(torch.from_numpy(as_tensor_range(np.stack(images)))).latents
    latents = latents + noise * torch.randn(latents.shape, generator=generator)
    decoded = (vae.decode(latents).sample.clamp(-1, 1) + 1) * 127.5
    return list(decoded.round().byte().permute(0, 2, 3, 1).numpy())


def confusion_tables(
    action: ActionJudge, style: StyleJudge, vae: AutoencoderTiny, pictures: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts of readings by truth, for actions and for styles.

    Columns: pictures (of :data:`CONDITIONS`; "reference" for reference pictures), pair (or mark), truth, found, n.
    """
    actions: Counter[tuple[str, ...]] = Counter()
    styles: Counter[tuple[str, ...]] = Counter()
    for first in range(0, pictures, CASES_AT_ONCE):
        cases = [held_out_case(index) for index in range(first, min(first + CASES_AT_ONCE, pictures))]
        for condition, noise in CONDITIONS.items():
            marked = as_seen([one.image for one in cases], vae, noise, first)
            erased = as_seen([one.erased for one in cases], vae, noise, first + 1)
            actions.update((condition, *row) for row in _read_actions(action, cases, marked, erased))
            styles.update((condition, *row) for row in _read_styles(style, cases, marked, erased))
        read = style.judge([one.reference for one in cases])
        styles.update(("reference", "any", c.scene.style, r.found) for c, r in zip(cases, read, strict=True))
    tables = []
    for counts, second in ((actions, "pair"), (styles, "mark")):
        rows = [(*key, n) for key, n in counts.items()]
        tables.append(pd.DataFrame(rows, columns=["pictures", second, "truth", "found", "n"]))
    return _in_order(tables[0], ACTION_CLASSES), _in_order(tables[1], STYLES)


def accuracy(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Readings and the share that is right: columns ``by``, n, right."""
    counted = table.assign(right=table["n"].where(table["truth"] == table["found"], 0))
    found = counted.groupby(by, sort=False, observed=True)[["n", "right"]].sum().reset_index()
    return found.assign(right=found["right"] / found["n"])


def _read_actions(
    judge: ActionJudge, cases: Sequence[Case], marked: Sequence[np.ndarray], erased: Sequence[np.ndarray]
) -> list[tuple[str, str, str]]:
    """(pair, truth, found); a directed action is read from both its ends."""
    rows, truths, pairs = [], [], []
    for case in cases:
        boxes = [one.box for one in case.scene.objects]
        ends = [(one.action, (boxes[one.subject], boxes[one.object])) for one in case.scene.actions]
        turned = [(f"{name} reversed", pair[::-1]) for name, pair in ends if name in DIRECTED]
        truths.append([name for name, _ in ends + turned])
        pairs.append([pair for _, pair in ends + turned])
    for own, readings in zip(truths, judge.judge(marked, pairs), strict=True):
        rows += [("with its mark", truth, _class(one)) for truth, one in zip(own, readings, strict=True)]
    for kind, images, asked in (("mark erased", erased, pairs), ("another pair", marked, [c.idle for c in cases])):
        rows += [(kind, "none", _class(one)) for readings in judge.judge(images, asked) for one in readings]
    return rows


def _read_styles(
    judge: StyleJudge, cases: Sequence[Case], marked: Sequence[np.ndarray], erased: Sequence[np.ndarray]
) -> list[tuple[str, str, str]]:
    return [
        (mark, case.scene.style, reading.found)
        for mark, images in (("drawn", marked), ("erased", erased))
        for case, reading in zip(cases, judge.judge(images), strict=True)
    ]


def _class(reading: ActionReading) -> str:
    return (reading.found or "none") + (" reversed" if reading.reversed else "")


def _in_order(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    orders = {"pictures": list(CONDITIONS), "truth": list(classes), "found": list(classes)}
    keys = list(table.columns[:-1])
    ranks = table[keys].apply(lambda c: c.map({v: k for k, v in enumerate(orders[c.name])}) if c.name in orders else c)
    return table.loc[ranks.sort_values(keys, na_position="last").index].reset_index(drop=True)
