"""What a run must say of itself so that it can be repeated."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

PACKAGES = (
    *("amdm", "torch", "torchvision", "diffusers", "transformers", "accelerate", "safetensors", "tokenizers"),
    *("numpy", "pandas", "opencv-python-headless", "pillow", "pycocotools", "pydantic", "pyyaml", "open_clip_torch"),
    "ultralytics",
)
"""Those that pictures, verdicts and tables come from."""


def environment() -> dict[str, Any]:
    """What decides the results besides the job's own settings, as plain JSON: versions, sources, kind of device."""
    import torch

    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "sources": sources_digest(),
        "device_name": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def circumstances() -> dict[str, Any]:
    """What a run should say of itself, and may differ when it goes on: commit, machine, driver of the GPU."""
    return {"git": _git(), "machine": f"{platform.platform()}, {os.cpu_count()} cores", "driver": _driver()}


def sources_digest() -> str:
    """SHA-256 over the Python and YAML sources of amdm and bench, in the order of their paths."""
    digest = hashlib.sha256()
    for package in ("amdm", "bench"):
        root = Path(str(files(package)))
        for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".yaml")):
            digest.update(f"{package}/{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    """NVIDIA's driver and torch's CUDA; None without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    try:
        driver = _run("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        driver = "unknown"
    return f"{driver}, CUDA {torch.version.cuda}"


def _git() -> dict[str, Any] | None:
    """Commit, and whether tracked files differ from it; None outside a checkout."""
    git = ("git", "-C", str(Path(str(files("amdm"))).parent))
    try:
        commit = _run(*git, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_run(*git, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
