"""All stages, a step each, and what a folder with a training accepts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch

from amdm.errors import InputError
from amdm.io.lock import lock_file
from amdm.mini.models import MiniModels
from amdm.mini.training import stages, vae
from amdm.mini.training.images import contrastive_loss
from amdm.mini.training.settings import begin_or_resume
from amdm.mini.training.stages import train_mini
from amdm.mini.training.tools import load_checkpoint, save_checkpoint, stage_checkpoint
from amdm.mini.weights_folder import weight_digests


def test_the_stages_go_on_from_each_other_and_leave_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BATCH", 8)
    monkeypatch.setattr(vae, "BATCH", 2)
    monkeypatch.setattr(stages.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(stages, "reconstruction_psnr", lambda *_: 0.0)
    weights = train_mini(tmp_path, shorten=0.0001)
    models, digests = MiniModels.load(weights), weight_digests(weights)
    assert all(torch.isfinite(parameter).all() for parameter in models.parameters())
    for name, tower in (("text", models.text.text_encoder), ("images", models.ip_adapter.image_encoder)):
        left = stage_checkpoint(tmp_path, name)
        assert all(torch.equal(value, left[key].half().float()) for key, value in tower.state_dict().items()), name
    with pytest.raises(InputError, match=r"begun here with seed: 0.* go on with seed: 1"):
        train_mini(tmp_path, seed=1, shorten=0.0001)
    train_mini(tmp_path, shorten=0.0001)
    assert weight_digests(weights) == digests


def test_a_training_goes_on_with_its_settings_alone(tmp_path: Path) -> None:
    first = tmp_path / "judge.pt"
    begin_or_resume(first, seed=0)
    save_checkpoint(first, {"step": 1})
    begin_or_resume(first, seed=0)
    with pytest.raises(InputError, match=r"judge\.json: .* with seed: 0, and cannot go on with seed: 1"):
        begin_or_resume(first, seed=1)
    (tmp_path / "judge.json").unlink()
    with pytest.raises(InputError, match=r"judge\.pt: .* not recorded"):
        begin_or_resume(first, seed=0)


def test_a_checkpoint_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "base.pt"
    with pytest.raises(InputError, match=r"base\.pt: is absent"):
        stage_checkpoint(tmp_path, "base")
    save_checkpoint(path, {"step": 1})
    for content in (b"", path.read_bytes()[:-40], b"text"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"base\.pt: cannot be read"):
            load_checkpoint(path)


def test_pictures_of_one_style_belong_together() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    together = contrastive_loss(embeddings, ["dots", "dots", "rings", "rings"])
    apart = contrastive_loss(embeddings, ["dots", "rings", "dots", "rings"])
    assert together.item() < 1e-3 and apart.item() == pytest.approx(10.0, abs=1e-3)


def test_one_training_in_a_folder_at_a_time(tmp_path: Path) -> None:
    with closing(lock_file(tmp_path)), pytest.raises(InputError, match=r"is in use by process \d+ on"):
        train_mini(tmp_path, shorten=0.0001)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
