"""Which weights a profile's models have: the shipped ones, or those of another training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.loading import load_models
from amdm.mini.models import MiniModels
from amdm.mini.weights_folder import WEIGHTS, weight_digests
from amdm.model_set import LoadOptions
from amdm.profiles import hashed_weights, unshipped_weights
from amdm.profiles import weight_digests as of_profile


@pytest.fixture
def another_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped weights but for one layer of the base, in the folder that AMDM_MINI_WEIGHTS_DIR names."""
    models = MiniModels.load(WEIGHTS)
    models.base.unet.conv_in.weight.div_(2)
    models.save(tmp_path)
    monkeypatch.setenv("AMDM_MINI_WEIGHTS_DIR", str(tmp_path))
    return tmp_path


def test_models_of_another_training_are_loaded_and_recorded(another_training: Path) -> None:
    found = load_models("mini", ("stable_diffusion",), LoadOptions()).models["stable_diffusion"].unet.state_dict()
    shipped = load_file(WEIGHTS / "unet.safetensors")
    torch.testing.assert_close(found["conv_in.weight"], shipped["conv_in.weight"].float() / 2)
    assert of_profile("mini") == hashed_weights("mini") != weight_digests(WEIGHTS)
    modes = {path.stat().st_mode for path in another_training.iterdir()}
    assert len(modes) == 1, "safetensors gives its files to their owner alone"


def test_tables_say_which_weights_are_not_the_shipped_ones(another_training: Path) -> None:
    (note,) = unshipped_weights("mini", of_profile("mini"))
    assert note.endswith(f"not the shipped ones: unet {hashed_weights('mini')['unet'][:12]}")
    assert unshipped_weights("mini", weight_digests(WEIGHTS)) == []
    assert unshipped_weights("paper", of_profile("mini")) == []


def test_a_folder_without_a_training_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMDM_MINI_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"digests\.json"):
        load_models("mini", (), LoadOptions())


@pytest.mark.parametrize("record", ["[]", "{}", '{"unet": 7}', "{"])
def test_a_record_that_is_none_is_one_line(another_training: Path, record: str) -> None:
    (another_training / "digests.json").write_text(record)
    with pytest.raises(InputError, match=r"digests\.json: ") as error:
        load_models("mini", (), LoadOptions())
    assert "\n" not in str(error.value)


def test_a_model_that_the_record_leaves_out_does_not_draw_untrained(another_training: Path) -> None:
    digests = weight_digests(another_training)
    del digests["migc"]
    (another_training / "digests.json").write_text(json.dumps(digests))
    with pytest.raises(InputError, match=r"it must name .* migc"):
        load_models("mini", ("migc",), LoadOptions())


def test_a_file_that_is_no_safetensors_is_one_line(another_training: Path) -> None:
    path = another_training / "unet.safetensors"
    path.write_bytes(b"torn")
    digests = weight_digests(another_training) | {"unet": sha256(path)}
    (another_training / "digests.json").write_text(json.dumps(digests))
    with pytest.raises(InputError, match=r"unet\.safetensors: cannot be read as safetensors"):
        load_models("mini", (), LoadOptions())
