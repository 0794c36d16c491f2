"""Style images: files of strangers, read with limits."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from amdm.errors import InputError

LARGEST_SIDE = 8192


def load_style(path: Path) -> Image.Image:
    """The picture as RGB, turned upright.

    Raises:
        InputError: it is no picture, is torn, or has a side of more than 8192 pixels.
    """
    try:
        with Image.open(path) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise InputError(f"has a side of more than {LARGEST_SIDE} pixels", file=path)
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("cannot be read as a picture", file=path) from error
