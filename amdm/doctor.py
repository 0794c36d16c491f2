"""What can run here, what is missing, and what one base in memory saves."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from amdm.checkpoints.catalogue import PROFILES, files_of
from amdm.checkpoints.store import is_there, weights_dir
from amdm.config import load_profile
from amdm.errors import InputError
from amdm.loading import Loading, load_models, paper_profile_available

PACKAGES = ("amdm", "torch", "diffusers", "transformers", "huggingface_hub", "open_clip_torch", "gdown")


def report(folder: Path | None, load: bool) -> list[tuple[str, str]]:
    """(what, how it is). ``load``: load the paper's models too, to measure what sharing saves."""
    place = weights_dir(folder)
    lines = [
        ("python", platform.python_version()),
        ("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
        ("device", torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"),
        ("weights folder", str(place)),
        ("mini models", _loaded("mini", Loading())),
    ]
    for name in PROFILES:
        files = files_of(name)
        absent = [one.name for one in files if not is_there(one, place)]
        state = f"absent: {', '.join(absent)}" if absent else "all there"
        lines.append((f"weights of {name}", f"{len(files) - len(absent)} of {len(files)}; {state}"))
    available, why = paper_profile_available()
    lines.append(("profile auto", "paper" if available else f"mini: {why}"))
    if load:
        loading = Loading.parse("paper", folder)
        lines.append(("paper's models", _loaded("paper", loading)))
    return lines


def _loaded(profile: str, loading: Loading) -> str:
    """Load every model of a profile that its presets name, and say what holding one base saved."""
    names = [name for name in load_profile(profile).models if name != "gligen"]  # no experiment of the paper's has it
    try:
        models = load_models(profile, names, loading)
    except InputError as error:
        return f"NOT USABLE: {error}"
    held = {id(p): p.numel() * p.element_size() for m in models.modules().values() for p in m.parameters()}
    saved, all_held = models.saved_bytes / 2**20, sum(held.values()) / 2**20
    return f"{', '.join(models.models)}: {all_held:,.0f} MiB; one base in memory saves {saved:,.0f} MiB"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
