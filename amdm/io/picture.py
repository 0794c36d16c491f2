"""Any picture as 8-bit RGB: the one conversion, for files, for what functions return, and for what is judged."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from amdm.errors import InputError

DEEPEST = 65535
ROUNDING = 1e-3
"""How far a float may lie outside [0, 1]: less than half a step of 8 bits, so clipping it changes nothing."""


def to_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode that Pillow knows as 8-bit RGB, turned upright where its EXIF says how.

    What is transparent is composed over white. Integers of 16 or 32 bits are scaled to 8 (v // 257), unless no value is
    above 255: programs write 8-bit values in that form too. Of several frames it is the current one, the first of a
    file that was just opened. Embedded colour profiles are not applied. Which grey of a PNG of 2 or 4 bits is
    transparent is known only until Pillow has loaded it: give it as it was opened.

    Raises:
        InputError: float values ("F"), or integers outside 0 … 65535 ("I"): nothing says which of them is white.
    """
    if picture.mode == "F":
        raise InputError('holds float values (mode "F"), of which nothing says what is white; save 8 or 16 bits')
    step = _grey_step(picture)
    picture = ImageOps.exif_transpose(picture)  # a copy, which has its own ``info``
    if step > 1 and isinstance(picture.info.get("transparency"), int):
        picture.info["transparency"] *= step
    if picture.mode.startswith("I"):
        picture = _from_16_bits(picture)
    if picture.mode == "La":
        picture = picture.convert("LA")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    _scale_transparent_colour(picture)
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def _grey_step(picture: Image.Image) -> int:
    """Between two greys of 2 or 4 bits, as Pillow will read them; the transparent one of a PNG it leaves as it is."""
    tiles = getattr(picture, "tile", None)  # how a file that is not loaded yet is coded
    return {"L;2": 85, "L;4": 17}.get(str(tiles[0][3]), 1) if tiles and picture.mode == "L" else 1


def _from_16_bits(picture: Image.Image) -> Image.Image:
    """Grey of 8 bits, with alpha where one grey is transparent; Pillow itself would clip."""
    grey = np.asarray(picture).astype(np.int64)
    if grey.size and (grey.min() < 0 or grey.max() > DEEPEST):
        raise InputError(f"holds integers outside 0 … {DEEPEST}, of which nothing says what is white; save 16 bits")
    eight_bits = not grey.size or grey.max() <= 255
    scaled = Image.fromarray((grey if eight_bits else grey // 257).astype(np.uint8))
    transparent = picture.info.get("transparency")
    if not isinstance(transparent, int):
        return scaled
    alpha = Image.fromarray(np.where(grey == transparent, 0, 255).astype(np.uint8))
    return Image.merge("LA", (scaled, alpha))


def _scale_transparent_colour(picture: Image.Image) -> None:
    """Pillow reads RGB of 16 bits as 8, but leaves the transparent colour of such a PNG as it is."""
    colour = picture.info.get("transparency")
    if picture.mode == "RGB" and isinstance(colour, tuple) and max(colour) > 255:
        picture.info["transparency"] = tuple(value >> 8 for value in colour)


def to_pixels(picture: Any) -> np.ndarray | None:
    """What a program gives as a picture, as uint8 RGB (H, W, 3); None where a float is NaN or infinite.

    Args:
        picture: a PIL image (see :func:`to_rgb`); or uint8 or floats in [0, 1], as an array (H, W, 3) or a torch tensor
            (3, H, W) or (H, W, 3).

    Raises:
        InputError: it is anything else, or holds floats outside [0, 1].
    """
    if isinstance(picture, Image.Image):
        return np.asarray(to_rgb(picture))
    array = _as_array(picture)
    floating = np.issubdtype(array.dtype, np.floating)
    if array.ndim != 3 or array.shape[2] != 3 or not array.size or not (floating or array.dtype == np.uint8):
        raise InputError(f"is of {array.dtype} and shape {array.shape}; it must be {_ALLOWED}")
    if not floating:
        return array
    if not np.isfinite(array).all():
        return None
    low, high = float(array.min()), float(array.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise InputError(f"holds floats from {low:g} to {high:g}; they must be in [0, 1]")
    return np.rint(array.astype(np.float64).clip(0, 1) * 255).astype(np.uint8)


_ALLOWED = "a PIL image, or uint8 or floats in [0, 1] as an array (H, W, 3) or a torch tensor (3, H, W)"


def _as_array(picture: Any) -> np.ndarray:
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    if torch is not None and isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu()
        array = np.asarray(picture.float() if picture.is_floating_point() else picture)
        channels_first = array.ndim == 3 and array.shape[0] == 3
        return np.ascontiguousarray(array.transpose(1, 2, 0)) if channels_first else array
    if not hasattr(picture, "__array__"):
        raise InputError(f"is a {type(picture).__name__}; it must be {_ALLOWED}")
    return np.asarray(picture)
