"""What KID of the mini image tower sees: true renderings, ever more blurred, noisy and wrong in colour.

    python scripts/kid_severity.py                 # writes reports/kid_severity.csv and .md

Of renderings of the combined world against as many others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
import typer

from amdm.mini.scene_stream import combined_scene
from bench.judges.picture_features import mini_features
from bench.report.kid import kid

Degrade = Callable[[np.ndarray], np.ndarray]


def main(
    pictures: Annotated[int, typer.Option(help="renderings of each kind")] = 400,
    to: Annotated[Path, typer.Option(help="the folder for the two files")] = Path("reports"),
) -> None:
    """Measure, print and write."""
    table = severities(pictures)
    to.mkdir(parents=True, exist_ok=True)
    table.to_csv(to / "kid_severity.csv", index=False, float_format="%.6f")
    shown = table.to_markdown(index=False, floatfmt=".4f")
    about = (
        f"KID of {pictures} true renderings, made worse, against {pictures} others (mini image tower; "
        "mean and standard deviation over subsets). Made by `python scripts/kid_severity.py`."
    )
    (to / "kid_severity.md").write_text(f"# What KID sees\n\n{about}\n\n{shown}\n", encoding="utf-8")
    typer.echo(shown)


def severities(count: int) -> pd.DataFrame:
    """Columns kind, severity, kid, kid_sd; the first row is of pictures that nothing was done to."""
    features = mini_features()
    reference = features(renderings("kid-reference", count))
    pictures = renderings("kid-pictures", count)
    rows = []
    for kind, severity, worse in DEGRADED:
        found, spread = kid(features([worse(one) for one in pictures]), reference)
        rows.append({"kind": kind, "severity": severity, "kid": found, "kid_sd": spread})
    return pd.DataFrame(rows)


def renderings(stream: str, count: int) -> list[np.ndarray]:
    """Of scenes of the combined world, uint8 RGB (64, 64, 3)."""
    return [combined_scene(stream, 0, k)[1].image for k in range(count)]


def blur(sigma: float) -> Degrade:
    return lambda image: cv2.GaussianBlur(image, (0, 0), sigma)


def noise(sigma: float) -> Degrade:
    rng = np.random.default_rng(0)
    return lambda image: np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def hue(degrees: int) -> Degrade:
    return lambda image: _in_hsv(image, lambda hsv: ((hsv[..., 0].astype(int) + degrees // 2) % 180, hsv[..., 1]))


def pale(share: float) -> Degrade:
    return lambda image: _in_hsv(image, lambda hsv: (hsv[..., 0], hsv[..., 1] * (1 - share)))


def _in_hsv(image: np.ndarray, change: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0], hsv[..., 1] = (one.astype(np.uint8) for one in change(hsv.copy()))
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


DEGRADED: list[tuple[str, float, Degrade]] = [
    ("as rendered", 0, lambda image: image),
    *(("blur, σ in pixels", s, blur(s)) for s in (0.8, 1.5, 3)),
    *(("noise, σ of 255", s, noise(s)) for s in (8, 16, 32)),
    *(("hue turned, degrees", s, hue(s)) for s in (30, 60, 120)),
    *(("colour taken away, share", s, pale(s)) for s in (0.4, 0.7, 1)),
]

if __name__ == "__main__":
    typer.run(main)
