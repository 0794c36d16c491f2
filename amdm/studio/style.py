"""Style pictures of the page: read with limits, and handed on as a PNG, so that a saved file repeats the picture."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from amdm.errors import InputError, unknown
from amdm.io.images import load_style
from amdm.mini.vocabulary import STYLES

MAX_UPLOAD_BYTES = 8 * 2**20
MAX_PIXELS = 2**24
MAX_SIDE = 512
"""Pixels. Image encoders read 64 (mini) or 224; a larger picture is scaled down before it is used, and saved so."""
_NAMED = re.compile(rf"(?:{'|'.join(STYLES)})-\d\d\.png")


@dataclass(frozen=True)
class StylePicture:
    """name: of the file that it is saved as. image: RGB."""

    name: str
    image: Image.Image

    def png(self) -> bytes:
        """The file."""
        file = BytesIO()
        self.image.save(file, format="PNG")
        return file.getvalue()

    def for_page(self) -> dict[str, str]:
        """What the page keeps, and sends back."""
        return {"name": self.name, "data": base64.b64encode(self.png()).decode("ascii")}


def style_of_page(content: Any) -> StylePicture | None:
    """What :meth:`StylePicture.for_page` gave, checked again: the page may send anything.

    Raises:
        InputError: it is no picture, or too large a one.
    """
    if content is None:
        return None
    data, name = (content.get(key) if isinstance(content, dict) else None for key in ("data", "name"))
    return uploaded_style(data, name)


def uploaded_style(data: Any, name: Any) -> StylePicture:
    """A picture file in base64. Of its name nothing is used, unless it is that of a mini style, by which it is judged.

    Raises:
        InputError: as :func:`style_of_page`.
    """
    if not isinstance(data, str) or len(data) > MAX_UPLOAD_BYTES * 4 // 3 + 4:
        raise InputError(f"the style picture is not a file of at most {MAX_UPLOAD_BYTES // 2**20} MiB")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InputError("the style picture cannot be read") from None
    with tempfile.NamedTemporaryFile(prefix="amdm-style-") as file:  # the one reader of strangers' pictures reads files
        file.write(content)
        file.flush()
        try:
            image = load_style(Path(file.name), most_pixels=MAX_PIXELS)
        except InputError as error:
            raise InputError(f"the style picture {error.what}") from None
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return StylePicture(_file_name(name), image)


def mini_style(style: Any) -> StylePicture:
    """A scene of the mini world in one of its styles, the same each time. Raises InputError for an unknown style."""
    from amdm.mini.scene_stream import style_picture
    from amdm.mini.scenes import scene_generator

    if style not in STYLES:
        raise unknown("style", style, STYLES)
    image = Image.fromarray(style_picture(style, scene_generator(f"studio:{style}", 0, 0)))
    return StylePicture(f"{style}-00.png", image)


def _file_name(name: Any) -> str:
    own = isinstance(name, str) and _NAMED.fullmatch(name)
    return str(name) if own else "style.png"
