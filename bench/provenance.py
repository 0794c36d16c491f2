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
    *("amdm", "torch", "torchvision", "diffusers", "transformers", "safetensors", "tokenizers"),
    *("numpy", "pandas", "opencv-python-headless"),
)


def environment() -> dict[str, Any]:
    """Versions, the sources' state, and the machine, as plain JSON."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git": _git(),
        "sources": sources_digest(),
        "device_name": torch.cuda.get_device_name() if cuda else "cpu",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "dtype": "float32",
    }


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


def _git() -> dict[str, Any] | None:
    """Commit, and whether tracked files differ from it; None outside a checkout."""
    root = Path(str(files("amdm"))).parent
    try:
        commit = _run(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_run(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _run(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
