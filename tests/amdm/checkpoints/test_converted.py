"""A public file is converted once; its conversion is used only while it is of the file that is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from amdm.checkpoints.catalogue import file_named
from amdm.checkpoints.convert import convert_all, converted_place, require_converted
from amdm.checkpoints.weights_folder import LOCK
from amdm.errors import InputError
from amdm.io.files import sha256


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was converted; the conversion itself, of full-size files, is replaced by one tensor."""
    done: list[str] = []

    def convert(name: str, source: Path, target: Path) -> None:
        done.append(name)
        target.mkdir(parents=True, exist_ok=True)
        path = target / Path(converted_place(name)).name
        save_file({"a": torch.zeros(1), "b": torch.ones(1)}, path, {"source_sha256": sha256(source)})

    monkeypatch.setattr("amdm.checkpoints.convert._convert", convert)
    return done


def test_once_and_again_after_the_source_was_replaced(tmp_path: Path, made: list[str]) -> None:
    source = tmp_path / file_named("migc").place
    source.parent.mkdir()
    source.write_bytes(b"one")
    convert_all(tmp_path, lambda line: None)
    convert_all(tmp_path, lambda line: None)
    assert made == ["migc"]
    assert require_converted("migc", tmp_path) == tmp_path / converted_place("migc")

    source.write_bytes(b"other")
    with pytest.raises(InputError, match="as first seen"):
        convert_all(tmp_path, lambda line: None)
    (tmp_path / LOCK).unlink()  # the user means it
    convert_all(tmp_path, lambda line: None)
    assert made == ["migc", "migc"]


def test_absent_torn_and_foreign_conversions_name_the_command(tmp_path: Path, made: list[str]) -> None:
    with pytest.raises(InputError, match="holds no file to convert"):
        convert_all(tmp_path, lambda line: None)
    with pytest.raises(InputError, match="is absent: run `amdm weights convert`"):
        require_converted("migc", tmp_path)
    source, path = tmp_path / file_named("migc").place, tmp_path / converted_place("migc")
    source.parent.mkdir()
    source.write_bytes(b"one")
    convert_all(tmp_path, lambda line: None)
    whole = path.read_bytes()
    save_file({"a": torch.zeros(1)}, path, {"source_sha256": "0" * 64})
    with pytest.raises(InputError, match="not made from the file that is recorded: run `amdm weights convert`"):
        require_converted("migc", tmp_path)
    save_file({"a": torch.ones(1), "b": torch.zeros(1)}, path, {"source_sha256": sha256(source)})
    with pytest.raises(InputError, match="not what the conversion wrote: run `amdm weights convert`"):
        require_converted("migc", tmp_path)
    path.write_bytes(whole[:40])
    with pytest.raises(InputError, match="cannot be read as safetensors: run `amdm weights convert`"):
        require_converted("migc", tmp_path)
    convert_all(tmp_path, lambda line: None)
    assert require_converted("migc", tmp_path) == path
