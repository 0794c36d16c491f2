"""One picture from a layout file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from amdm.errors import InputError
from amdm.io.files import write_atomic
from amdm.io.images import load_style
from amdm.layout import Layout, read_layout
from amdm.model_set import LoadOptions
from amdm.pipeline import AMDMPipeline, AMDMPipelineOutput
from amdm.presets.profile import load_profile

OUTLINE = "magenta"


@dataclass(frozen=True)
class Picture:
    """A picture uint8 RGB (H, W, 3) and the layout it was made from."""

    image: np.ndarray
    layout: Layout

    def save(self, path: Path, scale: int = 1, draw_boxes: bool = False) -> None:
        """Write a PNG, enlarged ``scale`` times by the nearest pixel, whole or not at all. Raises OSError."""
        height, width = (side * scale for side in self.image.shape[:2])
        picture = Image.fromarray(self.image).resize((width, height), Image.Resampling.NEAREST)
        if draw_boxes:
            draw = ImageDraw.Draw(picture)
            for one in self.layout.placed():
                x1, y1, x2, y2 = one.box
                corners = (x1 * (width - 1), y1 * (height - 1), x2 * (width - 1), y2 * (height - 1))
                draw.rectangle(corners, outline=OUTLINE, width=max(1, width // 256))
                draw.text((corners[0] + 3, corners[1] + 1), one.phrase, fill=OUTLINE)
        file = BytesIO()
        picture.save(file, format="PNG")
        write_atomic(path, file.getvalue())


@dataclass(frozen=True)
class GenerateRequest:
    """What ``amdm generate`` is asked for.

    layout: None takes the example of the preset. style: None takes the layout's, if it names one.
    overrides: see :meth:`amdm.presets.profile.Profile.method`.
    """

    profile: str
    method: str
    layout: Path | None = None
    style: Path | None = None
    seed: int = 0
    overrides: Sequence[str] = ()
    key: str | None = None


@contextmanager
def memory_errors_in_words() -> Iterator[None]:
    """What runs inside ends in a MemoryError of one line where a GPU has too little."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError("the device has not enough memory for these models and this size") from error


@memory_errors_in_words()
def generate_picture(wanted: GenerateRequest, loading: LoadOptions, trace: TextIO | None = None) -> Picture:
    """The picture that :class:`amdm.AMDMPipeline` draws with a generator of that seed; each step goes to ``trace``.

    Raises:
        InputError: for a bad file, an unknown method or field, or a picture that blew up.
        MemoryError: a GPU has too little of it.
    """
    load_profile(wanted.profile).method(wanted.method, wanted.overrides)  # what is asked for, before what it is to show
    layout, style = read_layout(wanted.layout or example_layout(wanted.profile, wanted.method), wanted.key)
    warn_of_unknown_words(wanted.profile, layout)
    path = wanted.style or style
    pipe = AMDMPipeline.from_pretrained(
        wanted.profile,
        wanted.method,
        overrides=wanted.overrides,
        dtype=loading.dtype,
        device=loading.device,
        weights_dir=loading.weights_dir,
        random_weights=loading.random_weights,
    )
    pipe.enable_single_use()  # at full size the encoders are 3 GB
    pipe.set_progress_bar_config(desc=wanted.method, unit="step")
    made = pipe(
        layout,
        ip_adapter_image=None if path is None else load_style(path),
        generator=torch.Generator().manual_seed(wanted.seed),
        output_type="np",
        callback_on_step_end=None if trace is None else partial(print_trace, file=trace),
        callback_on_step_end_tensor_inputs=("geometry",),
    )
    assert isinstance(made, AMDMPipelineOutput)
    if not made.finite[0]:
        raise InputError("the picture became NaN or infinite; none was written", field=wanted.method)
    return Picture((np.asarray(made.images[0]) * 255).round().astype(np.uint8), layout)


def warn_of_unknown_words(profile: str, layout: Layout) -> None:
    """Say on stderr which phrases the mini models cannot draw."""
    from amdm.mini.vocabulary import CATEGORIES, COLOURS, LABELS

    strange = [one.phrase for one in layout.placed() if one.phrase not in LABELS]
    if profile == "mini" and strange:
        words = f"the mini models know a <{' | '.join(COLOURS)}> <{' | '.join(CATEGORIES)}>, and nothing else"
        tqdm.write(str(InputError(f"warning: {words}; not {', '.join(map(repr, strange[:3]))}")), file=sys.stderr)


def warn_of_other_weights(profile: str) -> list[str]:
    """Say on stderr, and return, that mini models of another training draw."""
    from amdm.profiles import notes_on_weights

    notes = notes_on_weights(profile)
    for note in notes:
        tqdm.write(str(InputError(f"warning: {note}")), file=sys.stderr)
    return notes


def check_writable(path: Path) -> None:
    """Raise InputError where a picture cannot be written there; better before it is drawn than after."""
    if path.suffix.lower() != ".png":
        raise InputError("pictures are written as PNG: name it .png", file=path)
    try:
        if not path.parent.is_dir():
            raise InputError("is not a folder", file=path.parent)
        there = path.exists() or path.is_symlink()  # a link to a file that is not there yet is the user's
        path.open("ab").close()
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", file=path) from error
    if not there:
        path.unlink()


def example_layout(profile: str, method: str) -> Path:
    """The layout that is shipped for a preset. Raises InputError where there is none."""
    name = "mini" if profile == "mini" else method.partition("@")[0].replace("-v1.2", "")
    path = Path(str(files("amdm.examples") / f"{name}.json"))
    if not path.is_file():
        raise InputError(f"is needed: no example is shipped for {method}", field="layout")
    return path


def print_trace(
    pipe: AMDMPipeline, i: int, t: float, given: dict[str, Any], file: TextIO | None = None
) -> dict[str, Any]:
    """Print ‖x_i‖/√dim and ‖x′ − μ_i‖/√dim of the first sample, where models were aggregated."""
    for name, numbers in given["geometry"].items():
        shown = ", ".join(f"{what} {values[0]:.3f}" for what, values in numbers.items())
        tqdm.write(f"step {i} (t = {t:g}) {name}: {shown}", file=file)
    return {}
