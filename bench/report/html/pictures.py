"""Pictures of a run as a page holds them: a thumbnail each, and the whole picture where it is larger."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from amdm.io.files import make_folder

THUMBNAIL = 160
"""Pixels of the longer side."""
LONGEST_SIDE = 16_383
"""Pixels; WebP has no longer ones, of which the thumbnail is shown alone."""
QUALITY = {"thumbnail": 88, "whole": 90}
FOLDER = "pictures"


class Stored(NamedTuple):
    """A picture on a page.

    thumbnail: its index. whole: the file beside the page, or the index of what the page holds; None where the thumbnail
    is the picture already.
    """

    thumbnail: int
    whole: str | int | None
    width: int
    height: int


class Pictures:
    """Collects pictures.

    Args:
        folder: where the page lies. single_file: whole pictures go into the page too.
    """

    def __init__(self, folder: Path, single_file: bool) -> None:
        self.folder, self.single_file = folder, single_file
        self.thumbnails: list[str] = []
        self.whole: list[str] = []
        self._written: set[str] = set()

    def add(self, image: np.ndarray, number: tuple[int, int]) -> Stored:
        """uint8 RGB (H, W, 3). number: which picture of the page it is; names its file."""
        height, width = image.shape[:2]
        self.thumbnails.append(base64.b64encode(_webp(_shrunk(image), QUALITY["thumbnail"])).decode("ascii"))
        where: str | int | None = None
        if THUMBNAIL < max(height, width) <= LONGEST_SIDE:
            where = self._keep(_webp(image, QUALITY["whole"]), "{}-{}.webp".format(*number))
        return Stored(len(self.thumbnails) - 1, where, width, height)

    def _keep(self, content: bytes, name: str) -> str | int:
        if self.single_file:
            self.whole.append(base64.b64encode(content).decode("ascii"))
            return len(self.whole) - 1
        make_folder(self.folder / FOLDER)
        (self.folder / FOLDER / name).write_bytes(content)
        self._written.add(name)
        return f"{FOLDER}/{name}"

    def remove_others(self) -> None:
        """Files that an earlier page had and this one has not."""
        for path in (self.folder / FOLDER).glob("*.webp"):
            if re.fullmatch(r"\d+-\d+\.webp", path.name) and path.name not in self._written:
                path.unlink()


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = THUMBNAIL / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _webp(image: np.ndarray, quality: int) -> bytes:
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1])
