"""One picture from a layout file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from amdm.errors import InputError
from amdm.layout import Instance, Layout
from amdm.methods import load_methods
from amdm.sampler import Step


@dataclass(frozen=True)
class Picture:
    """A picture uint8 RGB (H, W, 3) and the layout it was made from."""

    image: np.ndarray
    layout: Layout

    def save(self, path: Path, scale: int = 1, draw_boxes: bool = False) -> None:
        """Write a PNG, enlarged ``scale`` times by the nearest pixel."""
        height, width = (side * scale for side in self.image.shape[:2])
        picture = Image.fromarray(self.image).resize((width, height), Image.Resampling.NEAREST)
        if draw_boxes:
            draw = ImageDraw.Draw(picture)
            for one in self.layout.instances:
                x1, y1, x2, y2 = one.box
                draw.rectangle(
                    (x1 * (width - 1), y1 * (height - 1), x2 * (width - 1), y2 * (height - 1)), outline="magenta"
                )
        try:
            picture.save(path, format="PNG")
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror or error}", file=path) from error


def generate_picture(
    profile: str, method: str, path: Path, seed: int, on_step: Callable[[Step], bool | None] | None = None
) -> Picture:
    """Generate from a layout file. Raises InputError for a bad file, an unknown method, or latents that blew up."""
    layout = read_layout(path)
    made = load_methods(profile, [method])[method].generate([layout], [f"picture/0/{seed}"], on_step)
    if not made.finite[0]:
        raise InputError("the latents became NaN or infinite; no picture was written", field=method)
    return Picture(made.images[0], layout)


def read_layout(path: Path) -> Layout:
    """A JSON object with ``caption`` and ``segment`` (a list of ``label`` and ``bbox``, xyxy in [0, 1])."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("cannot be read as JSON", file=path) from error
    try:
        segment = _field(content, "segment", list)
        instances = []
        for k, item in enumerate(segment):
            try:
                instances.append(Instance(_field(item, "label", str), tuple(_field(item, "bbox", list))))
            except InputError as error:
                raise error.within(field=f"segment[{k}]") from None
        return Layout(_field(content, "caption", str), tuple(instances))
    except InputError as error:
        raise error.within(file=path) from None


def print_trace(step: Step) -> None:
    """Print ‖x_i‖/√dim and ‖x′ − μ_i‖/√dim of the first sample, where models were aggregated."""
    if step.mixed is not None:
        for name, numbers in step.geometry().items():
            shown = ", ".join(f"{what} {values[0]:.3f}" for what, values in numbers.items())
            print(f"step {step.index} (t = {step.timestep}) {name}: {shown}")


def _field(content: Any, name: str, kind: type) -> Any:
    if not isinstance(content, dict) or name not in content:
        raise InputError("is missing", field=name)
    if not isinstance(content[name], kind):
        raise InputError(f"must be a {kind.__name__}", field=name)
    return content[name]
