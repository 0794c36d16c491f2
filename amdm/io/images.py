"""Style images, and all other pictures from files: untrusted, read with limits."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from amdm.errors import InputError
from amdm.io.picture import to_rgb

MAX_SIDE = 8192
MAX_FILE_BYTES = 64 * 2**20
MAX_SCANS = 32
"""Of a progressive JPEG, each of which goes over all of its pixels; encoders write about 10."""
_SCAN = b"\xff\xda"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", *(("AVIF",) if find_spec("PIL._avif") else ()))
"""Pillow knows others, among them some that start a program (EPS)."""


def check_size(width: int, height: int, most_pixels: int) -> None:
    """Raise InputError for a picture with a side of more than :data:`MAX_SIDE`, or more pixels than that."""
    if max(width, height) > MAX_SIDE:
        raise InputError(f"has a side of more than {MAX_SIDE} pixels")
    if width * height > most_pixels:
        raise InputError(f"has more than {most_pixels:,} pixels")


def load_style(path: Path, formats: tuple[str, ...] = FORMATS, most_pixels: int = MAX_SIDE**2) -> Image.Image:
    """The picture as 8-bit RGB (see :func:`amdm.io.picture.to_rgb`); of an animation or of several pages the first.

    Raises:
        InputError: it is not a file, of no format in ``formats``, torn, has more than 64 MiB, a side of more than
            8192 pixels or more than ``most_pixels``, or holds what :func:`amdm.io.picture.to_rgb` refuses.
    """
    try:
        if not path.is_file():
            raise InputError("is not a file", file=path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"has more than {MAX_FILE_BYTES} bytes", file=path)
        with Image.open(path, formats=formats) as picture:
            check_size(*picture.size, most_pixels)
            if picture.format in ("JPEG", "MPO") and path.read_bytes().count(_SCAN) > MAX_SCANS:
                raise InputError(f"has more than {MAX_SCANS} scans", file=path)
            return to_rgb(picture)
    except InputError as error:
        raise error.within(file=path) from None
    except Image.DecompressionBombError:
        raise InputError(f"has a side of more than {MAX_SIDE} pixels", file=path) from None
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise InputError(f"cannot be read as a picture ({', '.join(formats)})", file=path) from error
