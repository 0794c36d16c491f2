"""Kernel inception distance of a run's pictures: whether control was gained by wrecking the pictures.

KID (Bińkowski et al., ICLR 2018) with torchmetrics: unbiased MMD² of the kernel (x·y/d + 1)³ between the features of a
method's pictures and those of reference pictures, mean and standard deviation over subsets. Features are those of a
CLIP image tower that is at hand, in units of the reference's standard deviation: in the mini world that of the mini
IP-Adapter, where nothing needs a download (scripts/kid_severity.py shows what it sees). KIDs of different features or
references are not comparable.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from amdm.errors import InputError
from amdm.io.images import FORMATS
from amdm.mini.scene_stream import combined_scene, training_scene
from amdm.process_state import undisturbed
from amdm.progress import Progress
from bench.generators.folder import pictures_in
from bench.job.plan import Plan
from bench.judges.picture_features import Features, mini_features
from bench.layouts.layout_set import LayoutSet
from bench.layouts.vocabulary import MINI
from bench.run.images import read_image, stored_file
from bench.run.info import RunInfo
from bench.run.read import read_table

SUBSETS, MAX_IN_SUBSET = 50, 1000
FEWEST = 10
"""Pictures without which there is no distance."""
REFERENCES = 400
BATCH = 64


def kid(pictures: torch.Tensor, reference: torch.Tensor) -> tuple[float, float]:
    """Mean and standard deviation of KID over subsets of half of the fewer; features (N, D), (M, D), N, M ≥ 4.

    The subsets are drawn from a fixed seed: the same features give the same numbers.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    mean, deviation = reference.mean(0), reference.std(0).clamp_min(1e-6)
    size = min(MAX_IN_SUBSET, len(pictures) // 2, len(reference) // 2)
    with warnings.catch_warnings(), undisturbed(), torch.random.fork_rng(devices=[]), torch.inference_mode():
        warnings.simplefilter("ignore", UserWarning)  # that features are kept in memory
        torch.manual_seed(0)
        metric = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=SUBSETS, subset_size=size)
        metric.update((reference - mean) / deviation, real=True)
        metric.update((pictures - mean) / deviation, real=False)
        found, spread = metric.compute()
    return float(found), float(spread)


def kid_table(run: Path, features: Features, reference: Path | None = None) -> pd.DataFrame:
    """Columns method, pictures, references, kid, kid_sd.

    Args:
        reference: a folder of pictures; None, in the mini world, means true renderings of other scenes, with styles and
            actions where the run's layouts ask for styles. The ceiling's KID is what is left to differ by.

    Raises:
        InputError: no folder where one is needed, or fewer than :data:`FEWEST` pictures.
    """
    plan = Plan.resolve(RunInfo.read(run).job)
    base = encoded(_folder(reference) if reference else renderings(plan.layout_set), features)
    if len(base) < FEWEST:
        raise InputError(f"{len(base)} reference pictures are too few; {FEWEST} are needed", file=reference or run)
    samples = read_table(run, "samples")
    rows = []
    for method, own in samples[samples.status == "ok"].groupby("method", sort=False):
        if len(own) < FEWEST:
            raise InputError(
                f"{len(own)} pictures are too few for KID; {FEWEST} are needed", file=run, field=str(method)
            )
        paths = [stored_file(run, name) for name in own.image]
        if None in paths:
            raise InputError("a picture is not in the run folder", file=run, field=str(method))
        found, spread = kid(encoded((read_image(path) for path in paths if path), features, str(method)), base)
        rows.append({"method": method, "pictures": len(own), "references": len(base), "kid": found, "kid_sd": spread})
    return pd.DataFrame(rows)


def encoded(images: Iterable[np.ndarray], features: Features, what: str = "reference") -> torch.Tensor:
    """Features of pictures one after another, (N, D). what: for the progress bar."""
    shown = iter(Progress(images, f"KID: {what}", unit="picture", leave=False, disable=None))  # None: on a terminal
    rows: list[torch.Tensor] = []
    while chunk := list(islice(shown, BATCH)):
        rows.append(features(chunk))
    return torch.cat(rows) if rows else torch.empty(0, 1)


def renderings(layout_set: LayoutSet) -> Iterator[np.ndarray]:
    """:data:`REFERENCES` scenes, drawn as in training, from a stream that no model and no judge saw."""
    if layout_set.vocabulary != MINI:
        raise InputError("is needed: a folder of pictures of the kind that is asked for", field="reference")
    styled = any(entry.style is not None for entry in layout_set.entries)
    draw = combined_scene if styled else training_scene
    return (draw("kid-reference", 0, k)[1].image for k in range(REFERENCES))


def _folder(path: Path) -> Iterable[np.ndarray]:
    if not path.is_dir():
        raise InputError("is not a folder", file=path, field="reference")
    return (read_image(one, FORMATS) for one in pictures_in(path))


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
