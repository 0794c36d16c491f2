"""One picture from a layout file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from amdm.config import load_profile
from amdm.errors import InputError
from amdm.layout import Layout
from amdm.layout_file import read_layout
from amdm.loading import Loading, paper_profile_available
from amdm.methods import load_methods, to_uint8
from amdm.sampler import Step
from amdm.style_image import load_style

OUTLINE = "magenta"


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
            for one in self.layout.placed():
                x1, y1, x2, y2 = one.box
                corners = (x1 * (width - 1), y1 * (height - 1), x2 * (width - 1), y2 * (height - 1))
                draw.rectangle(corners, outline=OUTLINE, width=max(1, width // 256))
                draw.text((corners[0] + 3, corners[1] + 1), one.phrase, fill=OUTLINE)
        try:
            picture.save(path, format="PNG")
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror or error}", file=path) from error


@dataclass(frozen=True)
class Wanted:
    """What ``amdm generate`` is asked for.

    layout: None takes the example of the preset. style: None takes the layout's, if it names one.
    overrides: see :meth:`amdm.config.Profile.method`.
    """

    profile: str
    method: str
    layout: Path | None = None
    style: Path | None = None
    seed: int = 0
    overrides: Sequence[str] = ()


def generate_picture(wanted: Wanted, loading: Loading, on_step: Callable[[Step], bool | None] | None = None) -> Picture:
    """Raises InputError for a bad file, an unknown method or field, or latents that blew up."""
    load_profile(wanted.profile).method(wanted.method, wanted.overrides)  # what is asked for, before what it is to show
    layout, style = read_layout(wanted.layout or example_layout(wanted.profile, wanted.method))
    warn_of_unknown_words(wanted.profile, layout)
    path = wanted.style or style
    styles = None if path is None else [load_style(path)]
    method = load_methods(wanted.profile, [wanted.method], wanted.overrides, loading)[wanted.method]
    progress: list[tqdm] = []

    def step_done(step: Step) -> bool | None:
        if not progress:  # an error before the first step has the screen to itself
            progress.append(tqdm(total=method.settings.steps, desc=wanted.method, unit="step"))
        progress[0].update()
        return on_step(step) if on_step is not None else None

    with torch.inference_mode():
        branches = method.branches([layout], [f"picture/0/{wanted.seed}"], styles)
        method.models.release("text_encoder", "image_encoder")  # one picture is drawn: at full size they are 3 GB
        result = method.run(branches, step_done)
        for bar in progress:
            bar.close()
        if not result.finite[0]:
            raise InputError("the latents became NaN or infinite; no picture was written", field=wanted.method)
        target = method.settings.models[0]
        method.models.release("unet")
        decoded = method.models.decode(result.latents[target], target)
        if not torch.isfinite(decoded).all():
            raise InputError("the picture became NaN or infinite; none was written", field=wanted.method)
        image = to_uint8(decoded)[0]
    return Picture(image, layout)


def warn_of_unknown_words(profile: str, layout: Layout) -> None:
    """Say on stderr which phrases the mini models cannot draw."""
    from amdm.mini.vocabulary import CATEGORIES, COLOURS

    phrases = [one.phrase for one in layout.placed()]
    known = {f"a {colour} {category}" for colour in COLOURS for category in CATEGORIES}
    strange = [one for one in phrases if one not in known]
    if profile == "mini" and strange:
        words = f"the mini models know a <{' | '.join(COLOURS)}> <{' | '.join(CATEGORIES)}>, and nothing else"
        tqdm.write(str(InputError(f"warning: {words}; not {', '.join(map(repr, strange[:3]))}")), file=sys.stderr)


def check_writable(path: Path) -> None:
    """Raise InputError where a picture cannot be written there; better before it is drawn than after."""
    if path.suffix.lower() != ".png":
        raise InputError("pictures are written as PNG: name it .png", file=path)
    if not path.parent.is_dir():
        raise InputError("is no folder", file=path.parent)


def example_layout(profile: str, method: str) -> Path:
    """The layout that is shipped for a preset. Raises InputError where there is none."""
    name = "mini" if profile == "mini" else method.partition("@")[0]
    path = Path(str(files("amdm.examples") / f"{name}.json"))
    if not path.is_file():
        raise InputError(f"is needed: no example is shipped for {method}", field="layout")
    return path


def chosen_profile(wanted: str, random_weights: bool) -> str:
    """``auto``: paper where it can run (or its weights are to be random), else mini."""
    if wanted != "auto":
        return wanted
    return "paper" if random_weights or paper_profile_available()[0] else "mini"


def print_trace(step: Step) -> None:
    """Print ‖x_i‖/√dim and ‖x′ − μ_i‖/√dim of the first sample, where models were aggregated."""
    if step.mixed is not None:
        for name, numbers in step.geometry().items():
            shown = ", ".join(f"{what} {values[0]:.3f}" for what, values in numbers.items())
            tqdm.write(f"step {step.index} (t = {step.timestep:g}) {name}: {shown}")
