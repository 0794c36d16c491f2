"""KID of pictures that are not kept: their features are, as text."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from bench.judges.picture_features import mini_features
from bench.layouts.layout_set import LayoutSet
from bench.report.kid import FEWEST, encoded, kid, renderings


def as_texts(features: torch.Tensor) -> list[str]:
    """(N, D) → N texts: float32, little-endian, base64."""
    return [base64.b64encode(row.numpy().astype("<f4").tobytes()).decode() for row in features]


def from_texts(texts: Sequence[str]) -> torch.Tensor:
    """Back to (N, D) float32."""
    return torch.from_numpy(np.stack([np.frombuffer(base64.b64decode(one), "<f4") for one in texts]).astype(np.float32))


def kid_of_features(found: pd.DataFrame, layout_set: LayoutSet) -> pd.DataFrame:
    """Columns kid and kid_sd by method (the index), against true renderings of other scenes as
    :func:`bench.report.kid.kid_table`; methods of fewer than :data:`bench.report.kid.FEWEST` pictures have no row.

    Args:
        found: columns method and features, the texts of :func:`as_texts` of what
            :func:`bench.judges.picture_features.mini_features` gives.
    """
    methods = {str(name): own for name, own in found.groupby("method", sort=False) if len(own) >= FEWEST}
    base = encoded(renderings(layout_set), mini_features()) if methods else torch.empty(0, 1)
    rows = {name: kid(from_texts(own.features.tolist()), base) for name, own in methods.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["kid", "kid_sd"])
