"""How often the judges of actions and styles are right: python scripts/judge_accuracy.py.

Writes reports/judges/action.csv, style.csv (counts of readings by truth) and accuracy.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from diffusers import AutoencoderTiny

from amdm.mini.models import MiniModels
from amdm.mini.renderer import render
from amdm.mini.scene_stream import acting_scene, as_tensor_range, style_picture
from amdm.mini.scenes import Scene, scene_generator
from amdm.mini.training.trainer import load_trained_vae
from amdm.mini.vocabulary import ACTIONS, DIRECTED, STYLES
from bench.judges.action import ActionJudge
from bench.judges.conditions import ActionReading
from bench.judges.style import StyleJudge
from bench.judges.training import Ends, idle_pairs

ABOUT = (
    "Readings by truth, on held-out scenes of 2–6 objects with 1–3 actions and a style. Directed actions are read from "
    "both ends. *Mark erased*: the same pairs in a picture without marks; *another pair*: two objects without an "
    "action in a picture that has some. Noise: standard deviation on the latents, whose own is 1."
)
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


def main(
    pictures: Annotated[int, typer.Option(help="held-out scenes")] = 2000,
    folder: Annotated[Path | None, typer.Option(help="a training's folder; the shipped autoencoder otherwise")] = None,
    to: Annotated[Path, typer.Option(help="the folder for the three files")] = Path("reports/judges"),
) -> None:
    """Judge, print and write."""
    torch.set_num_threads(1)
    vae = MiniModels.load().vae if folder is None else load_trained_vae(folder)
    actions, styles = confusion_tables(ActionJudge.load(), StyleJudge.load(), vae, pictures)
    to.mkdir(parents=True, exist_ok=True)
    actions.to_csv(to / "action.csv", index=False)
    styles.to_csv(to / "style.csv", index=False)
    page = report(actions, styles)
    (to / "accuracy.md").write_text(page, encoding="utf-8")
    typer.echo(page)


def report(actions: pd.DataFrame, styles: pd.DataFrame) -> str:
    """Both tables as a page."""
    parts = ["# Accuracy of the judges of actions and styles", ABOUT]
    for title, table, kind in (("Actions", actions, "pair"), ("Styles", styles, "mark")):
        parts += [f"## {title}: per cent right", _shares(table, kind), f"## {title}: counts", _counts(table, kind)]
    return "\n\n".join([*parts, "Made by `python scripts/judge_accuracy.py`.\n"])


def _shares(table: pd.DataFrame, kind: str) -> str:
    found = accuracy(table, ["pictures", kind])
    found = found.assign(right=(100 * found["right"]).map("{:.2f}".format))
    return str(found.to_markdown(index=False, disable_numparse=True))


def _counts(table: pd.DataFrame, kind: str) -> str:
    rows = table.pivot_table(
        index=["pictures", kind, "truth"], columns="found", values="n", fill_value=0, aggfunc="sum", sort=False
    )
    classes = [name for name in (*ACTION_CLASSES, *STYLES) if name in rows.columns]
    return str(rows[classes].reset_index().to_markdown(index=False, floatfmt="g"))


@dataclass(frozen=True)
class Case:
    """A scene, its picture, the picture with the marks erased, and a reference picture of its style."""

    scene: Scene
    image: np.ndarray
    erased: np.ndarray
    reference: np.ndarray
    idle: list[Ends]


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


if __name__ == "__main__":
    typer.run(main)
