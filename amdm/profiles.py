"""Profiles mini and paper: which to take, and the digests of their weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from amdm.mini.weights_folder import WEIGHTS, weights_folder
from amdm.mini.weights_folder import weight_digests as mini_digests
from amdm.presets.profile import load_profile


def weight_digests(profile: str) -> dict[str, str]:
    """Recorded SHA-256 of every weight file of a profile's models that is there, conversions too."""
    if profile == "mini":
        return mini_digests()
    from amdm.checkpoints.assemble import files_of_models, half_of
    from amdm.checkpoints.catalogue import CATALOGUE
    from amdm.checkpoints.convert import CONVERSIONS, converted_place, require_converted
    from amdm.checkpoints.weights_folder import read_lock, require, weights_dir

    folder, places = weights_dir(), []
    wanted = files_of_models({model for method in load_profile(profile).methods.values() for model in method.models})
    wanted |= {half_of(name) for name in wanted}
    for one in (file for file in CATALOGUE if file.name in wanted):
        if (folder / one.place).exists():
            require(one, folder)
            places.append(str(one.place))
        if one.name in CONVERSIONS and (folder / converted_place(one.name)).exists():
            require_converted(one.name, folder)
            places.append(converted_place(one.name))
    lock = read_lock(folder)
    return {place: lock[place].sha256 for place in places}


def unshipped_weights(profile: str, digests: Mapping[str, str]) -> list[str]:
    """What is to be said of mini weights that are not the shipped ones; nothing of those, nor of another profile."""
    if profile != "mini":
        return []
    shipped = mini_digests(WEIGHTS)
    others = [f"{part} {digest[:12]}" for part, digest in digests.items() if shipped.get(part) != digest]
    return [f"The weights of the mini models are not the shipped ones: {', '.join(others)}"] if others else []


def notes_on_weights(profile: str) -> list[str]:
    """As :func:`unshipped_weights`, of the mini weights that a command is about to read, with where they come from.

    Raises:
        InputError: their record cannot be read.
    """
    notes = unshipped_weights(profile, mini_digests()) if profile == "mini" else []
    return [f"AMDM_MINI_WEIGHTS_DIR is {weights_folder()}: {note}" for note in notes]


def hashed_weights(profile: str) -> dict[str, str]:
    """SHA-256 of the same files as they lie there now, whatever was recorded of them."""
    from amdm.checkpoints.weights_folder import read_lock, weights_dir
    from amdm.io.files import sha256

    if profile == "mini":
        paths = {name: weights_folder() / f"{name}.safetensors" for name in mini_digests()}
    else:
        paths = {place: weights_dir() / place for place in read_lock(weights_dir())}
    return {name: sha256(path) for name, path in paths.items() if path.is_file()}


def paper_profile_available(folder: Path | None = None) -> tuple[bool, str]:
    """Whether the paper's profile can run here, and why not. folder: of the weights, by default the usual one."""
    import torch

    if not torch.cuda.is_available():
        return False, "there is no CUDA device"
    from amdm.checkpoints.weights_folder import absent_files

    if absent := absent_files("paper", folder):
        return False, f"{len(absent)} checkpoints are absent ({absent[0]}, …): amdm weights fetch --profile paper"
    return True, "a CUDA device and the checkpoints are present"


def chosen_profile(wanted: str, folder: Path | None = None) -> tuple[str, str]:
    """The profile to run, and why: ``auto`` takes paper where a CUDA device and the checkpoints are present.

    Args:
        folder: of the weights, by default the usual one.

    Raises:
        InputError: there is no such profile.
    """
    if wanted != "auto":
        load_profile(wanted)
        return wanted, "as asked for"
    available, why = paper_profile_available(folder)
    return "paper" if available else "mini", why
