"""The HSV ranges, on single colours and on all 2^24."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from amdm.errors import InputError
from bench.cocomig.colour import HSV_RANGES, colour_mask, rgb_to_hsv


@pytest.mark.parametrize(
    ("rgb", "names"),
    [
        ((200, 30, 30), {"red"}),
        ((20, 40, 200), {"blue"}),
        ((30, 180, 40), {"green"}),
        ((230, 220, 40), {"yellow"}),
        ((10, 10, 10), {"black"}),
        ((250, 250, 248), {"white"}),
        ((110, 70, 30), {"brown"}),
        ((255, 30, 10), {"red"}),
        ((255, 80, 20), {"red", "brown"}),
        ((127, 127, 127), set()),
        ((160, 30, 200), set()),
    ],
)
def test_names_of_a_colour(rgb: tuple[int, int, int], names: set[str]) -> None:
    hsv = rgb_to_hsv(np.array([[rgb]], np.uint8))
    assert {name for name in HSV_RANGES if colour_mask(hsv, name)[0, 0]} == names


@pytest.mark.parametrize("colour", HSV_RANGES)
def test_limits_are_inclusive(colour: str) -> None:
    for low, high in HSV_RANGES[colour]:
        assert colour_mask(np.array([[low, high]], np.uint8), colour).all()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="colour: unknown colour 'pink'"):
        colour_mask(np.zeros((2, 2, 3), np.uint8), "pink")
    with pytest.raises(InputError, match="image: needs a uint8 picture"):
        rgb_to_hsv(np.zeros((2, 2, 3)))


def test_every_colour_of_the_cube(evaluator_dir: Path) -> None:
    recorded = json.loads((evaluator_dir / "hsv_cube.json").read_text())
    channel = np.arange(256, dtype=np.uint8)
    blue, green, red = np.meshgrid(channel, channel, channel, indexing="ij")
    hsv = rgb_to_hsv(np.stack([red, green, blue], axis=-1).reshape(4096, 4096, 3))
    assert hashlib.sha256(hsv.tobytes()).hexdigest() == recorded["hsv_sha256"]
    assert set(recorded["colours"]) == set(HSV_RANGES)
    named = np.zeros(1 << 24, dtype=bool)
    flags = {}
    for colour, expected in recorded["colours"].items():
        flags[colour] = colour_mask(hsv, colour).ravel()
        named |= flags[colour]
        assert hashlib.sha256(np.packbits(flags[colour]).tobytes()).hexdigest() == expected["sha256"], colour
        assert flags[colour].sum() == expected["count"], colour
    assert (~named).sum() == recorded["colours_matching_none"]
    for pair, count in recorded["overlap_counts"].items():
        first, second = pair.split("+")
        assert (flags[first] & flags[second]).sum() == count, pair


def test_recorded_samples(evaluator_dir: Path) -> None:
    samples = np.load(evaluator_dir / "hsv_samples.npz", allow_pickle=False)
    hsv = rgb_to_hsv(samples["bgr"][None, :, ::-1])
    np.testing.assert_array_equal(hsv[0], samples["hsv"])
    for k, colour in enumerate(samples["colours"]):
        np.testing.assert_array_equal(
            colour_mask(hsv, str(colour))[0], samples["flags"][:, k].astype(bool), str(colour)
        )
