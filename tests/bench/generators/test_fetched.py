"""Folders of pictures in a remote folder are read as local ones are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from amdm.errors import InputError
from bench.generators.fetched import images_of
from bench.generators.folder import find_images
from bench.io.remote import RemoteFolder
from bench.run.images import MAX_PICTURE_BYTES
from tests.bench.generators.test_folder import INDEX, KEYS, LAYOUTS, put


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[RemoteFolder]:
    yield RemoteFolder.parse(f"memory://{tmp_path.name}/pictures")
    fsspec.filesystem("memory").store.clear()


def upload(folder: Path, remote: RemoteFolder) -> None:
    remote.send((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())


def test_the_same_is_found_as_in_a_local_folder(remote: RemoteFolder, tmp_path: Path) -> None:
    folder = tmp_path / "local"
    names = [f"seed{seed}/x_{key}.png" for key in KEYS[:4] for seed in (0, 1)]
    put(folder, *names, f"seed0/y_{KEYS[3]}.jpg", "stray.png", f".hidden/x_{KEYS[5]}.png", f"anno_x_{KEYS[6]}.png")
    (folder / "notes.txt").write_text("mine")
    upload(folder, remote)
    local = find_images(folder, LAYOUTS)
    with images_of(remote, LAYOUTS, None, None) as (held, found):
        assert found.counts() == local.counts() and found.digest() == local.digest() and found.seeds == (0, 1)
        assert {k: path.relative_to(held) for k, path in found.paths.items()} == {
            k: path.relative_to(folder) for k, path in local.paths.items()
        }
        assert not any((held / "stray.png").read_bytes())  # not fetched: it is of no layout
    assert not held.exists()


def test_a_mapping_names_objects_of_the_place(remote: RemoteFolder, tmp_path: Path) -> None:
    put(tmp_path / "local", "a.png")
    upload(tmp_path / "local", remote)
    (tmp_path / "map.csv").write_text(f"file,key\na.png,{KEYS[2]}\n")
    with images_of(remote, LAYOUTS, tmp_path / "map.csv", None) as (_, found):
        assert list(found.paths) == [(INDEX[2], 0)]


def test_what_is_too_large_for_a_picture_is_not_fetched(remote: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"x_{KEYS[0]}.png"
    monkeypatch.setattr(RemoteFolder, "sizes", lambda _: {name: MAX_PICTURE_BYTES + 1})
    with images_of(remote, LAYOUTS, None, None) as (held, found):  # fetching would fail: there is none
        assert (held / name).stat().st_size == MAX_PICTURE_BYTES + 1 and len(found.paths) == 1


def test_names_that_no_file_can_have_are_left_aside(remote: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = [f"../x_{KEYS[0]}.png", f"a//x_{KEYS[0]}.png", "x" * 300 + ".png", "a\0.png", "/etc/x.png"]
    monkeypatch.setattr(RemoteFolder, "sizes", lambda _: {"a.png/b": 1, "a.png": 1, **dict.fromkeys(strange, 1)})
    with images_of(remote, LAYOUTS, None, None) as (held, found):
        assert set(strange) < set(found.other) and not found.paths
        assert [path.name for path in held.parent.iterdir() if path.name.startswith("x_")] == []


def test_an_empty_place_is_one_line(remote: RemoteFolder) -> None:
    with pytest.raises(InputError, match="pictures: holds nothing"), images_of(remote, LAYOUTS, None, None):
        pass
