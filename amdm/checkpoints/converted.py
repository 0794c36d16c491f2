"""Which public files are converted, and where the results lie in the weights folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from amdm.checkpoints.catalogue import INTERACT_V12, file_named
from amdm.checkpoints.convert import convert_diffusers_folder, convert_interactdiffusion, convert_migc_file
from amdm.checkpoints.store import is_there, read_lock, require
from amdm.errors import InputError

PARTS = {"interactdiffusion": "unet", "migc": "migc", "interactdiffusion-v1.2": "unet"}
"""What is taken of each file; InteractDiffusion's own VAE and text tower are SD's."""


def converted_path(name: str, folder: Path) -> Path:
    """Where the conversion of a catalogue's file lies, or would lie."""
    return folder / "converted" / name / f"{PARTS[name]}.safetensors"


def require_converted(name: str, folder: Path) -> Path:
    """The converted file.

    Raises:
        InputError: it is absent or torn (the command that makes it is named), or is of another source file.
    """
    path = converted_path(name, folder)
    if not path.is_file():
        raise InputError("is absent: run `amdm weights convert`", file=path)
    seen = read_lock(folder).get(str(file_named(name).place))
    if seen is not None and _source_digest(path) != seen.sha256:
        raise InputError("was not made from the file that is recorded: run `amdm weights convert`", file=path)
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
        source, path = require(file_named(name), folder), converted_path(name, folder)
        if _is_whole(path) and _source_digest(path) == read_lock(folder)[str(file_named(name).place)].sha256:
            report(f"{name}: converted already, {path}")
            continue
        _convert(name, source, path.parent, folder)
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


def _is_whole(path: Path) -> bool:
    """Whether a conversion is there and not torn; a torn one is made again."""
    try:
        return path.is_file() and bool(_source_digest(path))
    except InputError:
        return False


def _source_digest(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("source_sha256", ""))
    except (SafetensorError, OSError) as error:
        raise InputError("cannot be read as safetensors: run `amdm weights convert`", file=path) from error
