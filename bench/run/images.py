"""Pictures of a run folder: where they lie, and reading them safely."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np

from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.io.images import load_style

MAX_PIXELS = 4096 * 4096
MAX_PICTURE_BYTES = 64 * 2**20


def read_image(path: Path, formats: tuple[str, ...] = ("PNG",)) -> np.ndarray:
    """uint8 RGB (H, W, 3). Raises InputError where the file is no readable picture of ``formats``, or a huge one."""
    try:
        return np.asarray(load_style(path, formats, MAX_PIXELS))
    except InputError as error:
        if isinstance(error.__cause__, MemoryError):  # of this machine, not of the picture
            raise MemoryError("out of memory while a picture was read") from error
        raise


def picture_name(method: str, image_id: str, key: str, seed: int) -> Path:
    """Where a run keeps the picture of a sample, inside its folder."""
    # The key stands last, behind an underscore, where the official evaluator looks for it.
    return Path("images") / file_name(method) / f"{file_name(image_id)}_s{seed}_{file_name(key)}.png"


def encoded(image: np.ndarray) -> bytes:
    """A picture, uint8 RGB (H, W, 3), as the file that a run keeps of it."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def stored_file(folder: Path, name: object) -> Path | None:
    """The picture that a record names; None where the name leads out of the folder (runs may come from strangers)."""
    if not isinstance(name, str) or not name.isprintable() or ".." in name.split("/"):
        return None
    try:
        path = (folder / name).resolve()
        path.exists()
    except (OSError, RuntimeError):  # a name that is too long, a link to itself
        return None
    return path if path.is_relative_to(folder.resolve() / "images") else None


def picture_is(folder: Path, name: object, digest: object) -> bool:
    """Whether a stored picture is there and has this SHA-256; one that is larger than any picture is none."""
    path = stored_file(folder, name)
    return path is not None and path.is_file() and path.stat().st_size <= MAX_PICTURE_BYTES and sha256(path) == digest


def read_stored(folder: Path, name: str) -> np.ndarray:
    """The picture that a record names, uint8 RGB (H, W, 3). Raises InputError for one that is not in the folder."""
    path = stored_file(folder, name)
    if path is None:
        raise InputError("is not in the run folder", file=folder, field=name)
    return read_image(path)


def file_name(text: str) -> str:
    """A file name that stays in its folder: other characters become %xx; long names are cut and hashed."""
    name = re.sub(r"[^A-Za-z0-9.+@-]", lambda match: "".join(f"%{byte:02x}" for byte in _bytes(match[0])), text)
    name = re.sub(r"^\.", "%2e", name) or "%"
    return name if len(name) <= 80 else f"{name[:60]}-{hashlib.sha256(_bytes(text)).hexdigest()[:16]}"


def _bytes(text: str) -> bytes:
    """UTF-8, also of half a surrogate pair, which JSON can hold."""
    return text.encode("utf-8", "surrogatepass")
