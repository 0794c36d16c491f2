"""The judge of styles: what it reads off a picture."""

from __future__ import annotations

import numpy as np
import pytest

from amdm.mini.scene_stream import style_picture
from amdm.mini.vocabulary import STYLES
from bench.judges.style import StyleJudge


@pytest.fixture(scope="module")
def judge() -> StyleJudge:
    return StyleJudge.load()


def test_the_style_is_read_off_the_picture(judge: StyleJudge) -> None:
    rng = np.random.default_rng(5)
    readings = judge.judge([style_picture(style, rng) for style in STYLES])
    assert [one.found for one in readings] == list(STYLES)
    assert all(0 <= one.margin <= 1 for one in readings)


def test_other_pictures_are_refused(judge: StyleJudge) -> None:
    with pytest.raises(ValueError, match="mini judges take uint8"):
        judge.judge([np.zeros((64, 64, 3), np.uint8), np.zeros((64, 32, 3), np.uint8)])
