"""Intervals of ratios of sums over layouts, and of the difference of two such ratios, that hold near 0 and 1 too.

A layout is one independent draw: its instances and seeds share its fate. The variance is that of the linearised ratio
over layouts, and two layouts are added to those measured, one at each end of the range: all right and all wrong for a
ratio (the adjusted Wald interval of Agresti and Coull, a layout in place of a trial), +1 and −1 for a paired difference
(that of Bonett and Price). So ten layouts without a single success leave room for 27 %. The interval is Student's of
that many values. ``reports/interval_coverage.md`` has its coverage by simulation.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

CONFIDENCE = 0.95
Bounds = tuple[np.ndarray, np.ndarray]


def simultaneous(count: int) -> float:
    """The confidence of each of so many intervals that hold with :data:`CONFIDENCE` all at once (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / count


def ratio_interval(above: np.ndarray, below: np.ndarray, confidence: float = CONFIDENCE) -> Bounds:
    """Bounds, in [0, 1], of Σ above / Σ below.

    Args:
        above, below: (…, L), an entry a layout, 0 ≤ above ≤ below. A layout with 0 below says nothing.

    Returns:
        low and high (…): NaN where fewer than two layouts say anything.
    """
    value, influence = _linearised(above, below)
    return _interval(value, influence, (below > 0).sum(-1), (0.0, 1.0), confidence)


def difference_interval(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], confidence: float = CONFIDENCE
) -> Bounds:
    """Bounds, in [−1, 1], of one ratio less another over the same layouts; each is (above, below) of them, (…, L)."""
    ours, theirs = _linearised(*first), _linearised(*second)
    count = np.minimum((first[1] > 0).sum(-1), (second[1] > 0).sum(-1))
    return _interval(ours[0] - theirs[0], ours[1] - theirs[1], count, (-1.0, 1.0), confidence)


@lru_cache(maxsize=1024)
def t_quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| ≤ t) = confidence, for a whole number of degrees of freedom of 1 or more.

    The probability is a finite sum in θ = arctan(t/√freedom) (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    steps = np.arange(2 + freedom % 2, freedom, 2)
    factors = np.cumprod((steps - 1) / steps)

    def probability(theta: float) -> float:
        cosine, sine = math.cos(theta), math.sin(theta)
        powers = float(np.sum(factors * cosine**steps))
        if freedom % 2 == 0:
            return sine * (1 + powers)
        return 2 / math.pi * (theta + (sine * (cosine + powers) if freedom > 1 else 0.0))

    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(high)


def _linearised(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ratio (…), and what each layout adds to its error (…, L)."""
    total = below.sum(-1, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = above.sum(-1) / total
        return value, (above - value[..., None] * below) / total[..., None]


def _interval(
    value: np.ndarray, influence: np.ndarray, count: np.ndarray, ends: tuple[float, float], confidence: float
) -> Bounds:
    """Student's interval over ``count`` layouts and two more at the ``ends``."""
    mean = (count * value + sum(ends)) / (count + 2)
    squares = count**2 * (influence**2).sum(-1) + count * (value - mean) ** 2 + sum((end - mean) ** 2 for end in ends)
    error = np.sqrt(squares / ((count + 1) * (count + 2)))
    quantiles = [t_quantile(confidence, int(n) + 1) if n > 1 else math.nan for n in np.ravel(count)]
    half = error * np.reshape(quantiles, np.shape(count))
    return np.clip(mean - half, *ends), np.clip(mean + half, *ends)
