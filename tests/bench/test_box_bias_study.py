"""The study of the box bias."""

from __future__ import annotations

from pathlib import Path

import pytest

from amdm.mini.sizes import BOX_BIAS
from amdm.mini.weights_folder import WEIGHTS
from scripts import box_bias_study


def test_the_study_counts_what_stands_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    load = box_bias_study.MiniModels.load
    monkeypatch.setattr(box_bias_study.MiniModels, "load", lambda folder: load(WEIGHTS))
    found = box_bias_study.place(Path("training"), BOX_BIAS, 5)
    assert found.keys() == {"interactdiffusion", "interactdiffusion-category"}
    assert all(0.7 <= share <= 1.0 for share in found.values()), found
