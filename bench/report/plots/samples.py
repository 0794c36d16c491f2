"""Pictures side by side, as the paper's figures 4 to 6: methods in rows, layouts in columns; of runs, or drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from amdm.cli.generate import example_layout
from amdm.errors import InputError, printable, unknown
from amdm.io.images import load_style
from amdm.layout import read_layout
from amdm.models.registry import model_spec
from amdm.presets.profile import load_profile
from bench.job.batches import CEILING
from bench.layouts.layout_set import Entry, balanced
from bench.report import palette
from bench.report.measured import Together
from bench.report.plots.charts import paper_style, shown
from bench.run.images import read_image, stored_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


CELL, TITLE = 1.75, 0.3
"""Inches: the side of a picture, the height of the row of titles."""
USUAL_COUNT = 4
GROUND = 0.82
"""Gray of the empty layout."""
LETTER, LINE = 0.027, 0.075
"""Width of a letter and height of a line of a label, as parts of a picture's side, from the font's size."""
FONT = 5.5
Load = Callable[[str], Any]
"""Name of a preset → what draws as :class:`amdm.AMDMPipeline` does."""
FIGURES = {
    4: ("interactdiffusion", "migc", "interactdiffusion+migc"),
    5: ("interactdiffusion", "ip-adapter", "interactdiffusion+ip-adapter"),
    6: ("interactdiffusion", "migc", "ip-adapter", "interactdiffusion+migc+ip-adapter"),
}
"""Number in the paper → the methods of its rows."""


@dataclass(frozen=True)
class Samples:
    """What the figure shows.

    columns: the layouts. rows: method as readers call it → layout index → picture uint8 RGB (H, W, 3), or why there is
    none.
    """

    columns: tuple[Entry, ...]
    rows: Mapping[str, Mapping[int, np.ndarray | str]]


def read_samples(runs: Together, keys: Sequence[str] | None, seed: int | None = None) -> Samples:
    """The pictures of layouts by key (a few, balanced over levels, where None), of one seed (the run's first).

    Raises:
        InputError: a key that the runs do not have, or a seed.
    """
    seeds = list(dict.fromkeys(one for run in runs.runs for one in run.info.seeds))
    chosen = seeds[0] if seed is None else seed
    if chosen not in seeds:
        raise unknown("seed of these runs", chosen, [str(one) for one in seeds], field="seed")
    columns = chosen_entries([entry for run in runs.runs for entry in run.entries], keys)
    rows: dict[str, dict[int, np.ndarray | str]] = {shown(method): {} for method in runs.methods}
    wanted = {entry.index for entry in columns}
    for run in runs.runs:
        own = run.samples[run.samples.layout_index.isin(wanted) & run.samples.method.isin(runs.methods)]
        for row in own.to_dict("records"):
            # true renderings are drawn for the first seed alone, and are the same for all
            if row["seed"] == chosen or row["method"] == CEILING:
                rows[shown(row["method"])][row["layout_index"]] = _picture(run.folder, row)
    return Samples(columns, rows)


def chosen_entries(entries: Sequence[Entry], keys: Sequence[str] | None, count: int = USUAL_COUNT) -> tuple[Entry, ...]:
    """Those of ``keys``, each once, in that order; ``count`` balanced over the levels where None.

    Raises:
        InputError: a key that none has.
    """
    by_key = {entry.key: entry for entry in entries}
    for key in keys or ():
        if key not in by_key:
            raise unknown("key of these layouts", key, by_key, field="keys")
    if keys is None:
        return tuple(balanced(list(by_key.values()), count))
    return tuple(by_key[key] for key in dict.fromkeys(keys))


def _picture(folder: object, row: Mapping[object, object]) -> np.ndarray | str:
    """A sample's picture, or why there is none."""
    if row["status"] != "ok":
        return "failed"
    path = stored_file(folder, row["image"])  # type: ignore[arg-type]
    try:
        return "not there" if path is None else read_image(path)
    except InputError:
        return "cannot be read"


def draw_samples(samples: Samples) -> Figure:
    """A row of empty layouts with labels, one of style pictures where there are any, then a row a method."""
    with paper_style():
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        styled = any(entry.style is not None for entry in samples.columns)
        names = ["layout", *(["style"] if styled else []), *samples.rows]
        width, height = len(samples.columns) * CELL + TITLE, len(names) * CELL + TITLE
        figure = Figure(
            figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        )
        axes = figure.subplots(len(names), len(samples.columns), squeeze=False)
        for column, entry in enumerate(samples.columns):
            _draw_layout(axes[0, column], entry)
            if styled:
                _draw_style(axes[1, column], entry)
            for ax, pictures in zip(axes[1 + styled :, column], samples.rows.values(), strict=True):
                _draw_picture(ax, entry, pictures.get(entry.index, "not drawn"))
        for ax, name in zip(axes[:, 0], names, strict=True):
            broken = name.replace("(+", "\n(+", 1).replace(", ", ",\n")  # before an aggregate's bracket, behind a comma
            ax.set_ylabel(broken if len(name) > 18 else name, fontsize=7)
        return figure


def _draw_layout(ax: Axes, entry: Entry) -> None:
    """Boxes on gray, each with its phrase; above, the key and the interactions."""
    _blank(ax, np.full((1, 1, 3), GROUND))
    actions = [f"{one.subject.phrase} {one.action} {one.object.phrase}" for one in entry.layout.interactions]
    ax.set_title("\n".join(printable(line) for line in (f"#{entry.key}", *actions)), fontsize=FONT)
    _boxes(ax, entry)
    taken: list[tuple[float, float, float, float]] = []
    for k in _by_area(entry):
        one = entry.layout.instances[k]
        x, y = label_place(one.box, len(one.phrase), taken)
        ax.text(
            *(x, y, printable(one.phrase)),
            fontsize=FONT,
            color="black",
            va="top",
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": _colour(k), "linewidth": 0.6},
        )


def label_place(
    box: tuple[float, float, float, float], letters: int, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float]:
    """Where a label of so many letters begins (left, top; fractions of the picture), clear of those in ``taken``.

    In its box at the top, else at the bottom, below or above the box, else further down; inside the picture. What it
    takes is added to ``taken``.
    """
    width, (x1, y1, _, y2) = min(1.0, LETTER * letters + 0.03), box
    x = min(max(0.01, x1 + 0.01), max(0.01, 0.99 - width))
    tries = [y1 + 0.015, y2 - LINE - 0.015, y2 + 0.015, y1 - LINE - 0.015, *(y1 + LINE * k for k in range(1, 14))]
    places = [min(max(0.01, y), 0.99 - LINE) for y in tries]

    def free(y: float) -> bool:
        return all(
            x + width <= left or right <= x or y + LINE <= top or bottom <= y for left, top, right, bottom in taken
        )

    y = next((one for one in places if free(one)), places[0])
    taken.append((x, y, x + width, y + LINE))
    return x, y


def _draw_style(ax: Axes, entry: Entry) -> None:
    try:
        style = None if entry.style is None else np.asarray(load_style(entry.style))
    except InputError:
        style = None
    _blank(ax, np.ones((1, 1, 3)) if style is None else style)


def _draw_picture(ax: Axes, entry: Entry, picture: np.ndarray | str) -> None:
    if isinstance(picture, str):
        _blank(ax, np.ones((1, 1, 3)))
        ax.text(0.5, 0.5, picture, ha="center", va="center", fontsize=FONT + 1)
        return
    _blank(ax, picture)
    _boxes(ax, entry)


def _blank(ax: Axes, image: np.ndarray) -> None:
    """The picture over the unit square, y down, without ticks."""
    ax.imshow(image, extent=(0, 1, 1, 0), interpolation="nearest", aspect=image.shape[0] / image.shape[1])
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def _boxes(ax: Axes, entry: Entry) -> None:
    """Outlines in each instance's colour, in a white one, in a black one: seen on any ground."""
    from matplotlib.patches import Rectangle

    for k in _by_area(entry):
        x1, y1, x2, y2 = entry.layout.instances[k].box
        for width, colour in ((2.8, "black"), (2.2, "white"), (1.1, _colour(k))):
            ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, linewidth=width, edgecolor=colour))


def _by_area(entry: Entry) -> list[int]:
    """Instances, large boxes first: small ones lie on top."""
    boxes = [one.box for one in entry.layout.instances]
    return sorted(range(len(boxes)), key=lambda k: -(boxes[k][2] - boxes[k][0]) * (boxes[k][3] - boxes[k][1]))


def _colour(instance: int) -> str:
    return palette.METHODS[instance % len(palette.METHODS)]


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
        rows[shown(name)] = {one.index: _generated(pipe, models, one, seed) for one in entries}
    return Samples(tuple(entries), rows)


def _generated(pipe: Any, models: Sequence[str], entry: Entry, seed: int) -> np.ndarray | str:
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
