"""Which public files are converted, and where the results lie in the weights folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from amdm.checkpoints.catalogue import INTERACT_V12, file_named
from amdm.checkpoints.convert import convert_diffusers_folder, convert_interactdiffusion, convert_migc_file
from amdm.checkpoints.store import is_as_recorded, is_there, read_lock, record, require
from amdm.errors import InputError

PARTS = {"interactdiffusion": "unet", "migc": "migc", "interactdiffusion-v1.2": "unet"}
"""What is taken of each file; InteractDiffusion's own VAE and text tower are SD's."""


def converted_place(name: str) -> str:
    """Where the conversion of a catalogue's file lies under the weights folder, or would lie."""
    return f"converted/{name}/{PARTS[name]}.safetensors"


def require_converted(name: str, folder: Path) -> Path:
    """The converted file.

    Raises:
        InputError: it is absent or torn (the command that makes it is named), is of another source file, or is not what
            the conversion wrote.
    """
    path = folder / converted_place(name)
    if not path.is_file():
        raise InputError("is absent: run `amdm weights convert`", file=path)
    seen = read_lock(folder).get(str(file_named(name).place))
    if seen is not None and _source_digest(path) != seen.sha256:
        raise InputError("was not made from the file that is recorded: run `amdm weights convert`", file=path)
    if not is_as_recorded(folder, converted_place(name)):
        raise InputError("is not what the conversion wrote: run `amdm weights convert`", file=path)
    return path


def convert_all(folder: Path, report: Callable[[str], None]) -> None:
    """Convert every public file that is there and was not converted yet.

    Raises:
        InputError: none is there; one is altered, cannot be read safely, or does not hold what it must.
    """
    there = [name for name in PARTS if is_there(file_named(name), folder)]
    if not there:
        raise InputError("holds no file to convert: run `amdm weights fetch`", file=folder)
    for name in there:
        source, path = require(file_named(name), folder), folder / converted_place(name)
        if _is_done(name, folder):
            report(f"{name}: converted already, {path}")
            continue
        _convert(name, source, path.parent, folder)
        record(folder, converted_place(name), "", replaces=True)
        report(f"{name}: {path}")


def _convert(name: str, source: Path, target: Path, folder: Path) -> None:
    from amdm.models.full_size import UNET, build_models
    from amdm.models.migc import MIGC

    model = build_models(["migc" if name == "migc" else "interactdiffusion"]).popitem()[1]
    if isinstance(model, MIGC):
        convert_migc_file(source, target, model.migc_state_dict())
    elif name == "interactdiffusion":
        convert_interactdiffusion(source, target, {"unet": model.unet.state_dict()}, UNET)
    else:
        convert_diffusers_folder(folder / INTERACT_V12, target, {"unet": model.unet.state_dict()})


def _is_done(name: str, folder: Path) -> bool:
    """Whether a conversion is there and whole; one that is torn or altered is made again."""
    try:
        return bool(require_converted(name, folder))
    except InputError:
        return False


def _source_digest(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("source_sha256", ""))
    except (SafetensorError, OSError) as error:
        raise InputError("cannot be read as safetensors: run `amdm weights convert`", file=path) from error
