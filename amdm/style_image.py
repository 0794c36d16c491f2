"""Style images: files of strangers, read with limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from amdm.errors import InputError

LARGEST_SIDE = 8192
LARGEST_FILE = 64 * 2**20
MOST_SCANS = 32
"""Of a progressive JPEG, each of which goes over all of its pixels; encoders write about 10."""
_SCAN = b"\xff\xda"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""Pillow knows others, among them some that start a program (EPS)."""


def load_style(path: Path) -> Image.Image:
    """The picture as 8-bit RGB, turned upright; what is transparent becomes white, 16 bits are scaled to 8.

    Raises:
        InputError: it is no file, none of :data:`FORMATS`, torn, or has more than 64 MiB or a side of more than 8192
            pixels.
    """
    try:
        if not path.is_file():
            raise InputError("is not a file", file=path)
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f"has more than {LARGEST_FILE} bytes", file=path)
        with Image.open(path, formats=FORMATS) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise InputError(f"has a side of more than {LARGEST_SIDE} pixels", file=path)
            if picture.format in ("JPEG", "MPO") and path.read_bytes().count(_SCAN) > MOST_SCANS:
                raise InputError(f"has more than {MOST_SCANS} scans", file=path)
            picture.load()
            return _as_rgb(ImageOps.exif_transpose(picture))
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(f"has a side of more than {LARGEST_SIDE} pixels", file=path) from None
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise InputError(f"cannot be read as a picture ({', '.join(FORMATS)})", file=path) from error


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        grey = np.asarray(picture).astype(np.int64).clip(0, 65535) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
