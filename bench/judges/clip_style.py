"""The judge of styles at full size: which of a set's reference pictures a picture is most like, by features of CLIP.

Likeness is CSLS (Conneau et al., 2018): the cosine, less how near either picture is to everything, so that a reference
that is near to all pictures is not everyone's answer. What is likest is the answer: there is no threshold, and of K
styles chance finds 1/K.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from bench.judges.conditions import StyleReading
from bench.judges.picture_features import Features, OpenClip
from bench.judges.registry import JudgeSpec

NEIGHBOURS = 10
BATCH = 16


def csls(pictures: np.ndarray, references: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """2·cos(x, y) − r(x) − r(y), r the mean cosine to the nearest ``neighbours`` of the other kind, or to all of fewer.

    Args:
        pictures: (N, D) and references: (K, D), of length 1.

    Returns:
        (N, K).
    """
    cosine = pictures @ references.T

    def nearness(rows: np.ndarray) -> np.ndarray:
        nearest = np.sort(rows, axis=1)[:, ::-1][:, :neighbours]
        return np.asarray(nearest.mean(1))

    return np.asarray(2 * cosine - nearness(cosine)[:, None] - nearness(cosine.T)[None])


class ClipStyleJudge:
    """Retrieval among references. encode: CLIP's vision tower."""

    def __init__(self, encode: Features) -> None:
        self.encode = encode

    @classmethod
    def load(cls, weights: Path | None, device: str = "cpu") -> ClipStyleJudge:
        """ViT-L/14 of open_clip; without weights its answers mean nothing. Raises InputError for other weights."""
        return cls(OpenClip(weights, device).features)

    def features(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """Of pictures uint8 RGB (H, W, 3), one or more: float64 (N, D), of length 1. It holds :data:`BATCH` at once."""
        left = iter(images)
        batches = iter(lambda: list(islice(left, BATCH)), [])
        return np.concatenate([self.encode(batch).double().cpu().numpy() for batch in batches])

    def retrieve(self, pictures: np.ndarray, references: np.ndarray, styles: Sequence[str]) -> list[StyleReading]:
        """The style of each picture: that of its likest reference; the margin is its likeness less that of the next,
        infinite where there is none.

        Args:
            pictures: features (N, D) of what is judged together: nearness is among these. references: (K, D).
            styles: of the references, in their order; several may have one.
        """
        likeness, names = csls(pictures, references), list(dict.fromkeys(styles))
        of = np.array([names.index(one) for one in styles])
        best = np.stack([likeness[:, of == k].max(1) for k in range(len(names))], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")
        margins = np.full(len(best), np.inf)
        if len(names) > 1:
            first, second = (np.take_along_axis(best, order[:, k : k + 1], axis=1)[:, 0] for k in (0, 1))
            margins = first - second
        return [StyleReading(names[row[0]], float(margin)) for row, margin in zip(order, margins, strict=True)]


SPEC = JudgeSpec("CLIP ViT-L/14, CSLS", "style", mini=False, load=ClipStyleJudge.load)
