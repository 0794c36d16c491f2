"""One source of colours, of the page and of the figures."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.report.palette import METHODS, METHODS_ON_DARK, VERDICTS, css_variables

STATIC = Path(__file__).resolve().parents[3] / "bench" / "report" / "html" / "static"
DEUTAN = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
PROTAN = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
"""Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB."""


def seen(colour: str, deficiency: np.ndarray) -> np.ndarray:
    """CIE Lab of a colour as the colour-blind see it."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    there = np.clip(deficiency @ linear, 0, 1)
    back = np.where(there <= 0.0031308, 12.92 * there, 1.055 * there ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(back.astype(np.float32)[None, None], cv2.COLOR_RGB2Lab)[0, 0]


@pytest.mark.parametrize("deficiency", [np.eye(3), DEUTAN, PROTAN])
@pytest.mark.parametrize("colours", [METHODS, METHODS_ON_DARK, tuple(VERDICTS.values())])
def test_colours_are_told_apart(colours: tuple[str, ...], deficiency: np.ndarray) -> None:
    distances = {
        pair: np.linalg.norm(seen(pair[0], deficiency) - seen(pair[1], deficiency)) for pair in combinations(colours, 2)
    }
    assert min(distances.values()) > 8, min(distances, key=distances.__getitem__)


def test_the_studio_has_the_same() -> None:
    """It cannot import them: amdm knows nothing of bench."""
    css = (STATIC.parents[3] / "amdm" / "studio" / "static" / "studio.css").read_text()
    light, dark = css.split(".dark ", 1)
    for block, colours in ((light, METHODS), (dark, METHODS_ON_DARK)):
        assert tuple(re.findall(r"--s\d: (#\w{6});", block)) == colours
    assert {name: re.findall(rf"--{name}: (#\w{{6}});", css) for name in VERDICTS} == {
        name: [colour] for name, colour in VERDICTS.items()
    }


def test_the_page_takes_its_colours_from_here() -> None:
    css = css_variables()
    assert css.startswith(":root { --right: #00a878;") and "--s0: #0072b2;" in css
    assert "@media (prefers-color-scheme: dark) { :root { --s0: #56b0ec;" in css
    for path in STATIC.glob("*.css"):
        assert "--s0:" not in path.read_text() and "--right:" not in path.read_text(), path
