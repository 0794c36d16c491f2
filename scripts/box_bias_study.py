"""InteractDiffusion with and without the box bias of its fusers, trained alike; run: python scripts/box_bias_study.py.

Fresh fusers and position net on the frozen base and text tower that `amdm train-mini` left in training/, the same
scenes and steps; then position success on layouts of mini-tune. Writes docs/training/box_bias.csv and box_bias.md.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import typer

from amdm.methods import Method
from amdm.mini.models import MiniModels
from amdm.mini.sizes import BOX_BIAS, LATENT_CHANNELS, LATENT_SCALE
from amdm.mini.training.grounding import GroundingTrainer
from amdm.mini.training.processes import run_processes
from amdm.mini.training.trainer import Job
from amdm.model_set import ModelSet
from amdm.presets.profile import load_profile
from bench.detectors.load import make_detector
from bench.layouts.named import load_layouts
from bench.stages.verdicts import Picture, judge_images

BIASES = (0.0, BOX_BIAS)


class StudyTrainer(GroundingTrainer):
    """The grounding stage from fresh grounding."""

    def __init__(self, job: Job, rank: int, bias: float) -> None:
        self.name = f"bias-{bias:g}"
        super().__init__(job, rank)
        model, fresh = self.models.interactdiffusion, MiniModels.fresh(bias).interactdiffusion
        model.load_control_state_dict(fresh.control_state_dict())
        model.box_bias = bias


def train(bias: float, rank: int, job: Job) -> None:
    """One process of one arm; the first writes the weights."""
    trainer = StudyTrainer(job, rank, bias)
    trainer.run()
    if rank == 0:
        trainer.models.vae.load_state_dict(trainer.vae.state_dict())
        trainer.models.save(job.folder / f"{trainer.name}-weights")


def place(training: Path, bias: float, limit: int) -> dict[str, float]:
    """Position success on layouts of mini-tune, with coloured and with category-only phrases."""
    models = MiniModels.load(training / f"bias-{bias:g}-weights")
    models.interactdiffusion.box_bias = bias
    loaded = ModelSet(
        {"interactdiffusion": models.interactdiffusion}, {"": models.vae}, 1.0, LATENT_CHANNELS, LATENT_SCALE
    )
    judge, entries = make_detector(), load_layouts("mini-tune").subset(limit).entries
    found = {}
    for name in ("interactdiffusion", "interactdiffusion-category"):
        method = Method(name, load_profile("mini").method(name), loaded)
        verdicts = []
        for k in range(0, len(entries), 16):
            chunk = entries[k : k + 16]
            made = method.generate([e.layout for e in chunk], [f"study/{e.index}" for e in chunk])
            pictures = [Picture(name, 0, entry, Path()) for entry in chunk]
            verdicts += [one for own in judge_images(judge, list(made.images), pictures) for one in own]
        found[name] = sum(one.verdict.success for one in verdicts) / len(verdicts)
    return found


def main(
    training: Path = Path("training"), steps: int = 800, limit: int = 100, to: Path = Path("docs/training")
) -> None:
    """Train both arms (about 12 minutes each on 2 cores), measure, write."""
    curves, rows = [], []
    for bias in BIASES:
        run_processes(partial(train, bias), Job(training, steps, 0, 32, 1e-3, world=2))
        curves.append(pd.read_csv(training / f"bias-{bias:g}.csv").assign(box_bias=bias))
        rows.append({"box bias": bias, **place(training, bias, limit)})
    pd.concat(curves).to_csv(to / "box_bias.csv", index=False)
    table = pd.DataFrame(rows).to_markdown(index=False, floatfmt=".3f")
    (to / "box_bias.md").write_text(
        f"Position success on {limit} layouts of mini-tune, {steps} steps\n\n{table}\n", encoding="utf-8"
    )
    typer.echo(table)


if __name__ == "__main__":
    typer.run(main)
