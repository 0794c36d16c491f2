from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from amdm.errors import InputError
from bench.generators.folder import FoundImages, find_images
from bench.layouts.named import load_layouts

LAYOUTS = load_layouts("mini").subset(10)
INDEX = [entry.index for entry in LAYOUTS.entries]
KEYS = [entry.key for entry in LAYOUTS.entries]


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(folder / name, format="PNG")


def by_sample(found: FoundImages) -> dict[tuple[int, int], str]:
    return {sample: path.name for sample, path in found.paths.items()}


def test_files_are_found_by_name_and_accounted_for(tmp_path: Path) -> None:
    names = [f"000001_{KEYS[0]}.png", f"a caption_420_{KEYS[1]}.png", f"x_{KEYS[2]}.png", f"y_{KEYS[2]}.jpg"]
    put(tmp_path, *names, "stray.png", f"anno_x_{KEYS[3]}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    found = find_images(tmp_path, LAYOUTS)
    assert by_sample(found) == {(INDEX[0], 0): names[0], (INDEX[1], 0): names[1]}
    assert found.duplicate == [names[2], names[3]] and found.stray == ["stray.png"]
    assert found.clash == f"{names[2]} and {names[3]} are both of layout {KEYS[2]!r}, seed 0"
    assert found.twins == [f"anno_x_{KEYS[3]}.png"] and found.other == ["notes.txt"]
    assert found.missing == [(k, 0) for k in sorted(INDEX[3:])]


def test_what_systems_leave_is_left_aside_and_counted(tmp_path: Path) -> None:
    name = f"x_{KEYS[0]}.png"
    put(tmp_path, name)
    foreign = [
        *(f"._{name}", ".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini", f".hidden/{name}"),
        *(f"__MACOSX/{name}", f"__MACOSX/deep/._{name}", f".Trash-1000/files/{name}", f"$RECYCLE.BIN/{name}"),
        *(f".ipynb_checkpoints/{name}", f"@eaDir/{name}", f"deep/.Trashes/{name}", f"Network Trash Folder/{name}"),
        *(f"Temporary Items/{name}", f"Trash/{name}", f"RECYCLED/{name}", f"LOST.DIR/{name}", f"a/.@__thumb/{name}"),
    ]
    put(tmp_path, *foreign)
    found = find_images(tmp_path, LAYOUTS)
    assert by_sample(found) == {(INDEX[0], 0): name}
    assert sorted(found.foreign) == sorted(foreign) and found.counts()["foreign"] == len(foreign)
    assert not (found.duplicate or found.stray or found.other)


def test_every_format_is_a_picture_or_counted(tmp_path: Path) -> None:
    suffixes = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "TIFF", "avif"]
    put(tmp_path, *(f"{key}.{suffix}" for key, suffix in zip(KEYS, suffixes, strict=False)))
    put(tmp_path, f"{KEYS[9]}.jp2", "model.npy")
    os.mkfifo(tmp_path / f"y_{KEYS[9]}.png")
    (tmp_path / f"z_{KEYS[9]}.png").symlink_to("nowhere")
    found = find_images(tmp_path, LAYOUTS)
    assert len(found.paths) == len(suffixes)
    assert sorted(found.other) == sorted([f"{KEYS[9]}.jp2", "model.npy", f"y_{KEYS[9]}.png", f"z_{KEYS[9]}.png"])


def test_linked_folders_are_not_entered_and_counted(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", f"{KEYS[0]}.png", f"{KEYS[1]}.png")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pictures" / f"{KEYS[0]}.png").symlink_to(tmp_path / "elsewhere" / f"{KEYS[0]}.png")
    found = find_images(tmp_path / "pictures", LAYOUTS)
    assert list(found.paths) == [(INDEX[0], 0)] and found.linked == ["linked"]
    (tmp_path / "map.csv").write_text(f"file,key\nlinked/{KEYS[1]}.png,{KEYS[1]}\n")
    with pytest.raises(InputError, match=r"not in the folder \(links to folders are not entered: 'linked'\)"):
        find_images(tmp_path / "pictures", LAYOUTS, tmp_path / "map.csv")


@pytest.mark.parametrize("form", ["seed{s}/x_{k}.png", "seed_{s}/{k}.png", "000001_s{s}_{k}.png", "{k}_seed{s}.png"])
def test_pictures_of_several_seeds(tmp_path: Path, form: str) -> None:
    put(tmp_path, *(form.format(s=s, k=k) for s in (0, 3) for k in KEYS))
    found = find_images(tmp_path, LAYOUTS)
    assert sorted(found.paths) == sorted((k, s) for k in INDEX for s in (0, 3)) and found.seeds == (0, 3)
    assert not found.gaps() and not found.note
    forced = find_images(tmp_path, LAYOUTS, seed=3)
    assert not forced.paths and len(forced.duplicate) == 20 and "are both of layout" in forced.clash


def test_a_seed_that_is_missing_for_some_layouts(tmp_path: Path) -> None:
    put(tmp_path, *(f"seed{s}/{k}.png" for s in (0, 1) for k in KEYS))
    (tmp_path / "seed1" / f"{KEYS[4]}.png").unlink()
    found = find_images(tmp_path, LAYOUTS)
    assert found.missing == [(INDEX[4], 1)] and found.gaps()


def test_a_seed_a_picture_is_no_seed_of_the_run(tmp_path: Path) -> None:
    put(tmp_path, *(f"{key}_seed{1000 + k}.png" for k, key in enumerate(KEYS)))
    found = find_images(tmp_path, LAYOUTS)
    assert sorted(found.paths) == [(k, 0) for k in INDEX] and "all are taken as of seed 0" in found.note
    put(tmp_path / "one", *(f"{key}_seed7.png" for key in KEYS))
    assert find_images(tmp_path / "one", LAYOUTS).seeds == (7,)


def test_what_a_name_leaves_open_is_named(tmp_path: Path) -> None:
    put(tmp_path, f"seed1/{KEYS[0]}_s2.png", f"{KEYS[1]}.png")
    found = find_images(tmp_path, LAYOUTS)
    assert found.ambiguous == [f"seed1/{KEYS[0]}_s2.png (seed 1 or 2)"] and list(found.paths) == [(INDEX[1], 0)]


def test_files_are_found_by_a_mapping(tmp_path: Path) -> None:
    folder, table = tmp_path / "pictures", tmp_path / "files.csv"
    put(folder, "one.png", ".two.png", "drei/Tür.unknown", f"x_{KEYS[5]}.png")
    rows = [("./one.png", 2), (".two.png", 3), (unicodedata.normalize("NFD", "drei\\Tür.unknown"), 4)]
    table.write_text("file,key\n" + "".join(f"{name},{KEYS[k]}\n" for name, k in rows))
    found = find_images(folder, LAYOUTS, table)
    assert sorted(found.paths) == [(INDEX[k], 0) for _, k in rows]
    assert found.stray == [f"x_{KEYS[5]}.png"] and not found.foreign and not found.other


def test_a_mapping_names_seeds_and_what_is_there(tmp_path: Path) -> None:
    folder, table = tmp_path / "pictures", tmp_path / "files.csv"
    put(folder, "one.png", "two.png")
    table.write_text(f"file,key,seed\none.png,{KEYS[0]},1\ntwo.png,{KEYS[0]},2\n")
    assert list(find_images(folder, LAYOUTS, table).paths) == [(INDEX[0], 1), (INDEX[0], 2)]
    with pytest.raises(InputError, match="has a column seed; leave out --seed"):
        find_images(folder, LAYOUTS, table, seed=0)
    table.write_text("file,key\nnone.png,1\n")
    with pytest.raises(InputError, match=r"none\.png: names a file that is not in the folder$"):
        find_images(folder, LAYOUTS, table)
