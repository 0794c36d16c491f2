"""What stands where an instance was looked for: for readers, who want to see why. No metric uses it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.cocomig.colour import HSV_RANGES, colour_mask, rgb_to_hsv
from bench.cocomig.verdict import COLOUR_SHARE, Detections, Masks, Placement, Verdict, best_mask

UNNAMED = "other"
"""In place of a colour: no range holds enough of the mask."""


class Finding(NamedTuple):
    """What was found for one instance.

    box: the detection that was judged, xyxy in [0, 1], clipped to the picture; None where nothing was detected.
    colour: the colour asked for where the verdict is right; else the one that holds most of the mask, :data:`UNNAMED`
    where that is less than a verdict asks for; None where there is no mask, because the place is wrong already.
    share: of the mask, in that colour; of the fullest range where it is :data:`UNNAMED`.
    """

    box: tuple[float, float, float, float] | None = None
    colour: str | None = None
    share: float | None = None


def as_told(value: float, limit: float) -> float:
    """A share or an IoU, where two digits are shown: what misses its limit is not rounded up to it.

    >>> [f"{as_told(value, 0.5):.2f}" for value in (0.4, 0.498, 0.5)]
    ['0.40', '0.49', '0.50']
    """
    return value if value >= limit else min(value, limit - 0.01)


def find_out(
    image: np.ndarray,
    colour: str,
    placement: Placement,
    detections: Detections,
    candidates: Masks | None,
    verdict: Verdict,
) -> Finding:
    """What the verdict on an instance was given on.

    Args:
        image: uint8 RGB (H, W, 3), the one that was judged. colour: the colour asked for.
        placement, detections, candidates, verdict: what was found for the instance, and what came of it.
    """
    if placement.best is None:
        return Finding()
    height, width = image.shape[:2]
    scaled = np.clip(detections.boxes[placement.best] / np.array([width, height, width, height], np.float64), 0, 1)
    x1, y1, x2, y2 = map(float, scaled)
    box = (x1, y1, x2, y2)
    if candidates is None:
        return Finding(box)
    shares = colour_shares(image, best_mask(candidates))
    fullest = max(shares, key=lambda name: shares[name])
    if verdict.attr:
        return Finding(box, colour, shares[colour])
    return Finding(box, fullest if shares[fullest] >= COLOUR_SHARE else UNNAMED, shares[fullest])


def colour_shares(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Share of a mask's pixels, bool (H, W), in the range of each colour; they may overlap. An empty mask has 0.

    >>> red = np.full((1, 4, 3), (220, 20, 20), np.uint8)
    >>> colour_shares(red, np.array([[True, True, False, False]]))["red"]
    1.0
    """
    if not mask.any():
        return dict.fromkeys(HSV_RANGES, 0.0)
    hsv = rgb_to_hsv(image[mask][None])  # a picture one pixel high: the ranges do not ask where a pixel lies
    return {name: float(colour_mask(hsv, name).mean()) for name in HSV_RANGES}
