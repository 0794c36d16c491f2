"""The benchmark's colours: ranges of OpenCV's 8-bit HSV (H 0…179), limits inclusive.

Source: the official evaluator (`eval_mig.py` of MIG_Bench). Ranges overlap (red and brown share hues 6-9, yellow and
brown hue 25), and about a fifth of all RGB colours has no name.
"""

from __future__ import annotations

import cv2
import numpy as np

from amdm.errors import InputError, unknown

Triple = tuple[int, int, int]

HSV_RANGES: dict[str, tuple[tuple[Triple, Triple], ...]] = {
    "red": (((0, 50, 70), (9, 255, 255)), ((159, 50, 70), (180, 255, 255))),
    "blue": (((90, 50, 70), (128, 255, 255)),),
    "green": (((36, 50, 70), (89, 255, 255)),),
    "yellow": (((25, 50, 70), (35, 255, 255)),),
    "black": (((0, 0, 0), (180, 255, 30)),),
    "white": (((0, 0, 221), (180, 43, 255)),),
    "brown": (((6, 43, 35), (25, 255, 255)),),
}
"""Colour name → one or more (lowest, highest) HSV triples."""


def rgb_to_hsv(image: np.ndarray) -> np.ndarray:
    """uint8 RGB (H, W, 3) → OpenCV's 8-bit HSV, uint8 (H, W, 3): hue 0…179, saturation and value 0…255."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"needs a uint8 picture (H, W, 3), not {image.dtype} {image.shape}", field="image")
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV))


def colour_mask(hsv: np.ndarray, colour: str) -> np.ndarray:
    """Which pixels of an 8-bit HSV picture (H, W, 3) have the colour: bool (H, W).

    Raises:
        InputError: the colour is not one of :data:`HSV_RANGES`.
    """
    if colour not in HSV_RANGES:
        raise unknown("colour", colour, HSV_RANGES, field="colour")
    hits = np.zeros(hsv.shape[:2], dtype=bool)
    for low, high in HSV_RANGES[colour]:
        hits |= cv2.inRange(hsv, np.array(low, np.uint8), np.array(high, np.uint8)) > 0
    return hits
