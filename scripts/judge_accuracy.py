"""How often the judges of actions and styles are right: python scripts/judge_accuracy.py.

Writes reports/judges/action.csv, style.csv (counts of readings by truth) and accuracy.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

from amdm.mini.models import MiniModels
from amdm.mini.training.trainer import load_trained_vae
from amdm.mini.vocabulary import STYLES
from bench.judges.action import ActionJudge
from bench.judges.style import StyleJudge
from bench.judges.training import ACTION_CLASSES, accuracy, confusion_tables

ABOUT = (
    "Readings by truth, on held-out scenes of 2–6 objects with 1–3 actions and a style. Directed actions are read from "
    "both ends. *Mark erased*: the same pairs in a picture without marks; *another pair*: two objects without an "
    "action in a picture that has some. Noise: standard deviation on the latents, whose own is 1."
)


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


if __name__ == "__main__":
    typer.run(main)
