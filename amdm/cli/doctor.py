"""What can run here, what is missing, and what one base in memory saves."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from amdm.checkpoints.assemble import files_of_models
from amdm.checkpoints.catalogue import PROFILES, file_named, files_of
from amdm.checkpoints.convert import CONVERSIONS, converted_place
from amdm.checkpoints.weights_folder import absent_files, is_there, weights_dir
from amdm.errors import InputError
from amdm.loading import load_models
from amdm.model_set import LoadOptions
from amdm.presets.profile import load_profile
from amdm.profiles import notes_on_weights, paper_profile_available

VRAM_NEEDED = 10 * 2**30
"""Bytes, an estimate: generators in float16 are 2.7 GB and the judge in float32 3.3 GB, besides what they compute with;
SAM alone took 6.5 GB of a CPU's memory. What a GPU takes in fact was not measured."""

RAM_NEEDED = 12 * 2**30
"""Bytes, an estimate: the largest network and its checkpoint are in memory together, 8.6 GB in float32."""

DRIVER = Path("/proc/driver/nvidia/version")

PACKAGES = ("amdm", "torch", "diffusers", "transformers", "huggingface_hub", "open_clip_torch", "gdown")


def report(folder: Path | None, load: bool) -> list[tuple[str, str]]:
    """(what, how it is). ``load``: load the paper's models too, to measure what sharing saves."""
    place = weights_dir(folder)
    lines = [
        ("python", platform.python_version()),
        ("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
        ("device", torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"),
        ("weights folder", str(place)),
        ("mini models", _loaded("mini", LoadOptions())),
        ("mini weights", _mini_weights()),
    ]
    for name in PROFILES:
        files = files_of(name)
        absent = [one.name for one in files if not is_there(one, place)]
        state = f"absent: {', '.join(absent)}" if absent else "all there"
        lines.append((f"weights of {name}", f"{len(files) - len(absent)} of {len(files)}; {state}"))
    available, why = paper_profile_available(folder)
    lines.append(("profile auto", "paper" if available else f"mini: {why}"))
    if load:
        loading = LoadOptions.parse("paper", folder)
        lines.append(("paper's models", _loaded("paper", loading)))
    return [*lines, ("profile paper", paper_verdict(folder))]


def paper_verdict(folder: Path | None = None) -> str:
    """Whether this machine can run the profile paper, generators and judge, and all that is in the way."""
    obstacles = [*_hardware_obstacles(), *_weight_obstacles(folder)]
    return f"CANNOT run here: {'; '.join(obstacles)}" if obstacles else "can run here"


def _hardware_obstacles() -> list[str]:
    found = []
    if not torch.cuda.is_available():
        found.append(f"no CUDA device ({_why_no_cuda()})")
    else:
        memory = torch.cuda.get_device_properties(0).total_memory
        if memory < VRAM_NEEDED:
            found.append(f"{memory / 2**30:.1f} GiB of GPU memory, about {VRAM_NEEDED / 2**30:.0f} are needed")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory < RAM_NEEDED:
        found.append(f"{memory / 2**30:.1f} GiB of RAM, about {RAM_NEEDED / 2**30:.0f} are needed")
    return found


def _why_no_cuda() -> str:
    driver = DRIVER.exists()
    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is built without CUDA{', though an NVIDIA driver is there' if driver else ''}"
        )
    if not driver:
        return "there is no NVIDIA driver"
    return f"the NVIDIA driver is there and torch cannot use it: it may be too old for CUDA {torch.version.cuda}"


def _weight_obstacles(folder: Path | None) -> list[str]:
    place, found = weights_dir(folder), []
    for profile, whose in (("paper", "generators"), ("judge", "the judge")):
        if absent := absent_files(profile, folder):
            found.append(f"{len(absent)} files of {whose} are absent (amdm weights fetch --profile {profile})")
    made = [name for name in CONVERSIONS if "paper" in file_named(name).profiles and is_there(file_named(name), place)]
    if raw := [name for name in made if not (place / converted_place(name)).is_file()]:
        found.append(f"{', '.join(raw)} not converted (amdm weights convert)")
    return found


def _loaded(profile: str, loading: LoadOptions) -> str:
    """Load every model of a profile that its presets name, and say what holding one base saved."""
    fetched = {one.name for one in files_of("paper")}  # models of which files are missing there are of no experiment
    names = [name for name in load_profile(profile).models if profile == "mini" or files_of_models([name]) <= fetched]
    try:
        models = load_models(profile, names, loading)
    except InputError as error:
        return f"NOT USABLE: {error}"
    held = {id(p): p.numel() * p.element_size() for m in models.modules().values() for p in m.parameters()}
    saved, all_held = models.saved_bytes / 2**20, sum(held.values()) / 2**20
    return f"{', '.join(models.models)}: {all_held:,.0f} MiB; one base in memory saves {saved:,.0f} MiB"


def _mini_weights() -> str:
    """Whether the mini models draw with the shipped weights; if not, where the others lie, and which they are."""
    try:
        return "; ".join(notes_on_weights("mini")) or "the shipped ones"
    except InputError as error:
        return f"NOT USABLE: {error}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
