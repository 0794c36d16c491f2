"""Weights of networks that measure, with their SHA-256 beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from amdm.errors import InputError
from bench.io.recorded_weights import load_recorded, save_recorded


def test_what_is_written_is_read_again_by_whoever_may_read_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "made" / "judge.safetensors"
    save_recorded({"weight": torch.tensor([0.5, -2.0]), "steps": torch.tensor(7)}, path)
    state, digest = load_recorded(path)
    assert state["weight"].tolist() == [0.5, -2.0] and state["steps"].item() == 7
    recorded = path.with_suffix(".sha256")
    assert recorded.read_text().strip() == digest and path.stat().st_mode == recorded.stat().st_mode


def test_another_file_than_the_recorded_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    save_recorded({"weight": torch.zeros(2)}, path)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match="SHA-256"):
        load_recorded(path)
