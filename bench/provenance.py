"""What a run must say of itself so that it can be repeated."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from amdm.errors import printable

PACKAGES = (
    *("amdm", "torch", "torchvision", "diffusers", "transformers", "accelerate", "safetensors", "tokenizers"),
    *("numpy", "pandas", "opencv-python-headless", "pillow", "pycocotools", "pydantic", "pyyaml", "open_clip_torch"),
    "ultralytics",
)
"""Those that pictures, verdicts and tables come from."""


class Recorded(BaseModel):
    """A part of a file that this package writes: typed, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Environment(Recorded):
    """What decides the results besides the job's own settings.

    packages: version by name, None where it is not installed. sources: of this repository (:func:`sources_digest`).
    """

    python: str
    packages: dict[str, str | None]
    sources: str
    device_name: str


class Git(Recorded):
    """dirty: tracked files differ from the commit."""

    commit: str
    dirty: bool


class Provenance(Recorded):
    """What a run says of the command that worked on it last; it may differ when the run goes on.

    git: None outside a checkout. driver: NVIDIA's, and CUDA's version; None without a GPU.
    """

    command: str
    machine: str
    git: Git | None
    driver: str | None


def environment() -> Environment:
    """Versions, sources and kind of device as they are now."""
    import torch

    return Environment(
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        sources=sources_digest(),
        device_name=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    )


def provenance() -> Provenance:
    """Of this process."""
    command = printable(shlex.join(["amdm-bench", *sys.argv[1:]]))
    machine = f"{platform.platform()}, {os.cpu_count()} cores"
    return Provenance(command=command, machine=machine, git=_git(), driver=_driver())


def sources_digest(leave_out: tuple[str, ...] = ()) -> str:
    """SHA-256 over the Python and YAML sources of amdm and bench, in the order of their paths.

    leave_out: beginnings of paths that do not count, for example "bench/report/".
    """
    digest = hashlib.sha256()
    for package in ("amdm", "bench"):
        root = Path(str(files(package)))
        for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".yaml")):
            name = f"{package}/{path.relative_to(root)}"
            if not name.startswith(leave_out):
                digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    import torch

    if not torch.cuda.is_available():
        return None
    try:
        driver = _run("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        driver = "unknown"
    return f"{driver}, CUDA {torch.version.cuda}"


def _git() -> Git | None:
    git = ("git", "-C", str(Path(str(files("amdm"))).parent))
    try:
        commit = _run(*git, "rev-parse", "HEAD")
        return Git(commit=commit, dirty=bool(_run(*git, "status", "--porcelain", "--untracked-files=no")))
    except (OSError, subprocess.SubprocessError):
        return None


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
