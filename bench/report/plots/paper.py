"""The paper's qualitative figures drawn anew: its methods on one layout or more, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from amdm.cli.generate import example_layout
from amdm.errors import unknown
from amdm.io.images import load_style
from amdm.layout import read_layout
from amdm.models.registry import model_spec
from amdm.presets.profile import load_profile
from bench.layouts.layout_set import Entry
from bench.report.plots.canvas import shown
from bench.report.plots.samples import Samples

Load = Callable[[str], Any]
"""Name of a preset → what draws as :class:`amdm.AMDMPipeline` does."""

FIGURES = {
    4: ("interactdiffusion", "migc", "interactdiffusion+migc"),
    5: ("interactdiffusion", "ip-adapter", "interactdiffusion+ip-adapter"),
    6: ("interactdiffusion", "migc", "ip-adapter", "interactdiffusion+migc+ip-adapter"),
}
"""Number in the paper → the methods of its rows."""


def methods_of(number: int, profile: str) -> tuple[str, ...]:
    """The presets of a figure's rows. Raises InputError for a number that no such figure has."""
    if number not in FIGURES:
        raise unknown("qualitative figure of the paper", number, [str(one) for one in FIGURES], field="number")
    if profile == "paper":
        return FIGURES[number]
    known = load_profile(profile).methods
    return tuple(f"{one}@combined" if f"{one}@combined" in known else one for one in FIGURES[number])


def example_entry(profile: str, number: int) -> Entry:
    """The layout that is shipped for a figure's aggregate."""
    layout, style = read_layout(example_layout(profile, FIGURES[number][-1]))
    return Entry(0, "example", "", replace(layout, instances=layout.placed()), style)


def draw_figure(number: int, profile: str, entries: Sequence[Entry], seed: int, load: Load) -> Samples:
    """Every method's pictures of the layouts, all from the same generator's seed.

    load: from a preset's name to its pipeline, of which one is held at a time.

    Raises:
        InputError: no such figure; a layout that a method cannot draw.
    """
    rows: dict[str, dict[int, np.ndarray | str]] = {}
    for name, method in zip(FIGURES[number], methods_of(number, profile), strict=True):
        pipe, models = load(method), load_profile(profile).method(method).models
        rows[shown(name)] = {one.index: _picture(pipe, models, one, seed) for one in entries}
    return Samples(tuple(entries), rows)


def _picture(pipe: Any, models: Sequence[str], entry: Entry, seed: int) -> np.ndarray | str:
    """uint8 RGB (H, W, 3). A model alone is given what it reads: the figure shows what each can do."""
    reads = frozenset[str]().union(*(model_spec(one).kind.reads for one in models))
    layout = entry.layout if "interactions" in reads else replace(entry.layout, interactions=())
    if not reads & {"instances", "interactions"}:
        layout = replace(layout, instances=())
    style = load_style(entry.style) if entry.style is not None and "style" in reads else None
    made = pipe(layout, ip_adapter_image=style, generator=torch.Generator().manual_seed(seed), output_type="np")
    if not made.finite[0]:
        return "not finite"
    return np.asarray((np.asarray(made.images[0]) * 255).round().astype(np.uint8))
