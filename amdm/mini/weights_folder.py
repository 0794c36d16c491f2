"""Where the weights of the mini models lie: those that are shipped, or those of another training."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter

from amdm.errors import InputError

DIGESTS = "digests.json"
PARTS = ("vae", "text_encoder", "unet", "image_encoder", "interactdiffusion", "migc", "ip-adapter")
WEIGHTS = Path(str(files("amdm.mini") / "weights"))
"""Those that are shipped."""


def weights_folder() -> Path:
    """What AMDM_MINI_WEIGHTS_DIR says, such as ``weights`` in the folder of a training; else the shipped ones."""
    folder = os.environ.get("AMDM_MINI_WEIGHTS_DIR")
    return Path(folder) if folder else WEIGHTS


def weight_digests(folder: Path | None = None) -> dict[str, str]:
    """Recorded SHA-256 of each weight file, by part. folder: None takes :func:`weights_folder`.

    Raises:
        InputError: it cannot be read, or names other parts than the mini models have: one that is not loaded would
            draw with the numbers that it was made with.
    """
    path = (folder or weights_folder()) / DIGESTS
    try:
        digests = TypeAdapter(dict[str, str]).validate_json(path.read_bytes(), strict=True)
    except (OSError, ValueError) as error:
        raise InputError("the record of the mini weights cannot be read", file=path) from error
    if digests.keys() != set(PARTS):
        raise InputError(f"names {', '.join(sorted(digests)) or 'nothing'}; it must name {', '.join(PARTS)}", file=path)
    return digests
