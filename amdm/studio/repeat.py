"""The lines that repeat a picture of the page: for Python, and for the shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from amdm.layout import Instance, Layout
from amdm.model_set import LoadOptions
from amdm.studio.choices import Run
from amdm.studio.drawing import Drawing

LAYOUT_FILE = "layout.json"


def shell_lines(run: Run, profile: str, seed: int, loading: LoadOptions) -> str:
    """``amdm generate`` on the saved layout, which names the style picture where there is one."""
    parts = ["amdm generate", f"--profile {profile}", f"--preset {shlex.quote(run.preset)}"]
    parts += [f"--layout {LAYOUT_FILE}", f"--seed {seed}", *(f"--set {shlex.quote(one)}" for one in run.overrides)]
    parts += [f"--device {loading.device}", f"--dtype {_dtype(loading)}"]  # "auto" may be another one by then
    parts += [] if loading.weights_dir is None else [f"--weights-dir {shlex.quote(str(loading.weights_dir))}"]
    return " \\\n    ".join([*parts, f"--out {shlex.quote(run.file)}"])


def python_lines(run: Run, profile: str, seed: int, drawing: Drawing, loading: LoadOptions) -> str:
    """A script that needs no other file than the style picture, where there is one."""
    style = drawing.style
    names = ["AMDMPipeline", "Instance", *(["Interaction"] if drawing.layout.interactions else []), "Layout"]
    imports = ["import torch", *(["from PIL import Image"] if style is not None else []), ""]
    call = [f"generator=torch.Generator().manual_seed({seed})"]
    if style is not None:
        call.append(f'ip_adapter_image=Image.open("{style.name}")')
    return "\n".join(
        [
            *imports,
            f"from amdm import {', '.join(names)}",
            "",
            *_layout_lines(drawing.layout),
            "",
            f'pipe = AMDMPipeline.from_pretrained("{profile}", "{run.preset}"{_held(run, loading)})',
            f"out = pipe(layout, {', '.join(call)})",
            f'out.images[0].save("{run.file}")',
        ]
    )


def _held(run: Run, loading: LoadOptions) -> str:
    """Arguments beside profile and preset: overrides, and how the models are held where that is not as usual."""
    found = []
    if run.overrides:
        found.append("overrides=[\n" + "".join(f"    {one!r},\n" for one in run.overrides) + "]")
    if loading.device != "cpu":
        found.append(f'device="{loading.device}"')
    if _dtype(loading) != "float32":
        found.append(f"torch_dtype={loading.dtype}")
    if loading.weights_dir is not None:
        found.append(f"weights_dir={str(loading.weights_dir)!r}")
    return "".join(f", {one}" for one in found)


def _dtype(loading: LoadOptions) -> str:
    return str(loading.dtype).removeprefix("torch.")


def _layout_lines(layout: Layout) -> Sequence[str]:
    """The drawing as Python; ``repr`` quotes what was typed."""
    places = layout.instances
    lines = ["boxes = (", *(f"    {_instance(one)}," for one in places), ")"]
    if not layout.interactions:
        return [*lines, f"layout = Layout({layout.caption!r}, boxes)"]
    joined = [
        f"    Interaction(boxes[{places.index(one.subject)}], {one.action!r}, boxes[{places.index(one.object)}]),"
        for one in layout.interactions
    ]
    return [*lines, "joins = (", *joined, ")", f"layout = Layout({layout.caption!r}, boxes, joins)"]


def _instance(one: Instance) -> str:
    return f"Instance({one.phrase!r}, {one.box!r})"
