"""Where a detector's weights lie, and which files they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from amdm.checkpoints.catalogue import WeightFile, files_of
from amdm.checkpoints.weights_folder import read_lock, require, weights_dir
from amdm.errors import InputError
from amdm.io.files import sha256

NEEDED = ("model.safetensors", "config.json", "tokenizer.json")
"""Of a repository's files. The numbers of the protocol stand in the code, not in preprocessor_config.json."""


def repository_folder(repository: str, chosen: Path | None) -> Path:
    """The folder of one network of the profile "judge", its files there and as first seen.

    Raises:
        InputError: a file is absent (the command that brings it is named), or is not the one first seen.
    """
    root = weights_dir(chosen)
    for wanted in _files(repository):
        require(wanted, root)
    return root / repository


def repository_digest(repository: str, chosen: Path | None, rehash: bool = False) -> str:
    """SHA-256 over the digests of its files, as they were recorded, or ``rehash``ed now.

    Without ``rehash`` a file is hashed only where it changed since it was recorded.
    """
    root = weights_dir(chosen)
    if not rehash:
        repository_folder(repository, chosen)
    places = [str(wanted.place) for wanted in _files(repository)]
    digests = {place: sha256(root / place) if rehash else read_lock(root)[place].sha256 for place in places}
    return hashlib.sha256("\n".join(f"{place} {digest}" for place, digest in digests.items()).encode()).hexdigest()


def own_file(name: str, chosen: Path | None) -> Path:
    """``<weights>/<name>/model.safetensors``, which the user puts there. Raises InputError where it is absent."""
    path = weights_dir(chosen) / name / "model.safetensors"
    if not path.is_file():
        raise InputError("is absent; docs/judging.md says how to make it", file=path)
    return path


def _files(repository: str) -> list[WeightFile]:
    return [one for one in files_of("judge") if one.repository == repository and one.path in NEEDED]
