"""Where the weights of the mini models lie: those that are shipped, or those of another training."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

from amdm.errors import InputError

DIGESTS = "digests.json"
WEIGHTS = Path(str(files("amdm.mini") / "weights"))
"""Those that are shipped."""


def weights_folder() -> Path:
    """What AMDM_MINI_WEIGHTS_DIR says, such as ``weights`` in the folder of a training; else the shipped ones."""
    folder = os.environ.get("AMDM_MINI_WEIGHTS_DIR")
    return Path(folder) if folder else WEIGHTS


def weight_digests(folder: Path | None = None) -> dict[str, str]:
    """Recorded SHA-256 of each weight file, by part. folder: None takes :func:`weights_folder`."""
    path = (folder or weights_folder()) / DIGESTS
    try:
        digests: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("the record of the mini weights cannot be read", file=path) from error
    return digests
