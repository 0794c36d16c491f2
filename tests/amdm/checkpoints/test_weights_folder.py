"""The weights folder: files are recorded at first sight, and a change is noticed by digest alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from amdm.checkpoints.catalogue import CATALOGUE, PROFILES, file_named, files_of
from amdm.checkpoints.weights_folder import LOCK, LockEntry, read_lock, record, require, verify, weights_dir
from amdm.errors import InputError
from amdm.io.files import sha256

WANTED = file_named("sd14-unet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / WANTED.place
    path.parent.mkdir(parents=True)
    save_file({"a": torch.zeros(4), "b": torch.ones(4)}, path)
    return tmp_path


def test_the_catalogue_is_whole() -> None:
    assert len({one.name for one in CATALOGUE}) == len({one.place for one in CATALOGUE}) == len(CATALOGUE)
    assert all(one.licence and one.profiles and bool(one.repository) != bool(one.drive_id) for one in CATALOGUE)
    assert all(len(one.revision) == 40 or not one.pinned for one in CATALOGUE)
    assert all(files_of(profile) for profile in PROFILES)
    with pytest.raises(InputError, match="unknown profile 'sdxl'"):
        files_of("sdxl")


def test_a_file_is_recorded_at_first_sight_and_hashed_again_only_when_touched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = require(WANTED, folder)
    first = read_lock(folder)[str(WANTED.place)]
    assert first.size == path.stat().st_size and len(first.sha256) == 64
    monkeypatch.setattr("amdm.checkpoints.weights_folder.sha256", lambda path: pytest.fail("hashed again"))
    assert require(WANTED, folder) == path
    monkeypatch.undo()
    os.utime(path)
    require(WANTED, folder)
    assert read_lock(folder)[str(WANTED.place)].sha256 == first.sha256


def test_tensors_of_equal_shape_that_changed_places_are_noticed(folder: Path) -> None:
    path = require(WANTED, folder)
    save_file({"a": torch.ones(4), "b": torch.zeros(4)}, path)
    with pytest.raises(InputError, match="as first seen") as found:
        require(WANTED, folder)
    assert str(path) in str(found.value)


def test_a_digest_of_which_only_the_beginning_is_known_is_checked_as_far_as_it_goes(folder: Path) -> None:
    place = str(WANTED.place)
    digest = sha256(folder / place)
    assert WANTED.sha256 == "d54d1800" and not digest.startswith("d54d1800")
    for known in ((digest[:8], ""), (digest[:8], digest), (digest,), ("",)):
        assert record(folder, place, "", known).sha256 == digest
    for known in (("d54d1800",), (digest[:8], "d54d1800" * 8), (digest[:7] + ("1" if digest[7] == "0" else "0"),)):
        with pytest.raises(InputError, match="as published"):
            record(folder, place, "", known)
    with pytest.raises(InputError, match="d54d1800… as published"):
        verify(WANTED, folder)


def test_public_sizes() -> None:
    sizes = {one.name: (one.size, one.sha256) for one in CATALOGUE}
    assert sizes["sd14-unet"] == (3_438_167_536, "d54d1800")
    assert sizes["interactdiffusion-v1.2"] == (4_279_053_400, "c87b0921")
    assert sizes["interactdiffusion-v1.2-fp16"] == (2_139_588_048, "bd023e84")


def test_absent_files_links_and_broken_records_are_one_line(folder: Path, tmp_path: Path) -> None:
    other = file_named("sd14-vae")
    with pytest.raises(InputError, match="run `amdm weights fetch --profile paper`"):
        require(other, folder)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_bytes(b"x")
    (folder / other.place).parent.mkdir(parents=True)
    (folder / other.place).symlink_to(outside)
    with pytest.raises(InputError, match="link out of the weights folder"):
        require(other, folder)
    (folder / LOCK).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        require(WANTED, folder)


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(tmp_path))
    assert weights_dir() == tmp_path and weights_dir(tmp_path / "own") == tmp_path / "own"
    monkeypatch.delenv("AMDM_WEIGHTS_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_dir() == tmp_path / "amdm" / "weights"


def test_what_is_recorded_can_be_read_by_whoever_reads_the_weights(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        require(WANTED, folder)
    finally:
        os.umask(before)
    assert (folder / LOCK).stat().st_mode & 0o777 == 0o644
    assert [path.name for path in folder.iterdir() if path.is_file()] == [LOCK]


def test_two_that_record_at_a_time_lose_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other").write_bytes(b"x")
    other = threading.Thread(target=record, args=(folder, "other", ""))

    def read(folder: Path) -> dict[str, LockEntry]:
        found = read_lock(folder)
        if not other.ident:  # the first of the two
            other.start()
            other.join(0.3)
        return found

    monkeypatch.setattr("amdm.checkpoints.weights_folder.read_lock", read)
    record(folder, str(WANTED.place), "")
    other.join()
    assert set(read_lock(folder)) == {"other", str(WANTED.place)}
