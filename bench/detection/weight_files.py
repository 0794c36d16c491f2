"""Where a detector's weights lie, and which files they are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from amdm.errors import InputError

FETCH = "amdm weights fetch --profile judge"
_DECISIVE = ("*.safetensors", "*.json", "vocab.txt")


def weights_folder(name: str, weights_dir: Path | None) -> Path:
    """The folder of one network: ``weights_dir`` (or the folder that AMDM_WEIGHTS_DIR names) / ``name``.

    Raises:
        InputError: no folder is named, or it holds no safetensors file.
    """
    place = weights_dir or os.environ.get("AMDM_WEIGHTS_DIR")
    if not place:
        raise InputError(f"name the folder of weights, which `{FETCH}` fills", field="weights-dir")
    folder = Path(place) / name
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"has no safetensors file; `{FETCH}` brings the judge's weights", file=folder)
    return folder


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and contents of the weights, the configuration and the vocabulary in a folder."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _DECISIVE for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
