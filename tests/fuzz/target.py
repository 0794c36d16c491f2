"""What a target of fuzzing is, and valid content that several of them start from."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

BOXES = [
    {"bbox": [0.1, 0.1, 0.4, 0.4], "label": "a red circle"},
    {"bbox": [0.5, 0.5, 0.9, 0.9], "label": "a blue arch"},
]
NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Target:
    """cases: a strategy. read: a case and an empty folder → what uses it. share: of all cases, in parts."""

    cases: st.SearchStrategy[Any]
    read: Callable[[Any, Path], object]
    share: int


def as_json(value: Any) -> bytes:
    """As JSON, with halves of surrogate pairs, NaN and infinity."""
    return json.dumps(value, default=str).encode()


def pictures() -> list[bytes]:
    """A small one in each format and mode that people have."""
    picture, found = Image.fromarray(NOISE), []
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257)
    for image, kind, options in (
        *((picture, kind, {}) for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")),
        *((grey, "PNG", {}), (picture.convert("CMYK"), "JPEG", {}), (picture, "JPEG", {"exif": exif})),
        *((picture.convert("RGBA"), "PNG", {}), (picture.convert("P"), "PNG", {"transparency": 0})),
    ):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        found.append(buffer.getvalue())
    return found
