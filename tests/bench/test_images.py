"""Pictures made elsewhere: which file is whose, what is amiss, and out again under the official names."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from amdm.errors import InputError
from bench.images import by_mapping, by_name, state_of
from bench.layouts.layout_set import Entry
from bench.layouts.named import load_layouts
from bench.store import read_run_info, read_table
from bench.verify import verify_run
from tests.bench.conftest import Call, JobRunner
from tests.bench.fakes import paint
from tests.bench.test_cli import layout_file

SET = load_layouts("mini")
NAMES: dict[str, Callable[[Entry], str]] = {
    "AMDM": lambda entry: f"{entry.image_id.zfill(6)}_{entry.key}.png",
    "MIGC": lambda entry: f"{entry.layout.caption}_42{0}_{entry.key}.png",
    "run folder": lambda entry: f"{entry.image_id}_s42_{entry.key}.png",
}


@pytest.fixture
def layouts(tmp_path: Path) -> Path:
    """A set of ten layouts, two of each level, with keys that are not their indices."""
    text = {
        f"k{entry.index}": {
            "caption": entry.layout.caption,
            "image_id": entry.image_id,
            "segment": [{"label": one.phrase, "bbox": one.box} for one in entry.layout.instances],
        }
        for entry in SET.subset(10).entries
    }
    (tmp_path / "ten.json").write_text(json.dumps(text))
    return tmp_path / "ten.json"


def pictures(folder: Path, layouts: Path, name: Callable[[Entry], str] = NAMES["AMDM"]) -> list[Path]:
    """One true picture a layout, under names of a kind."""
    folder.mkdir()
    entries = load_layouts(layouts).entries
    images = paint("perfect", [entry.layout for entry in entries], [entry.key for entry in entries]).images
    paths = [folder / name(entry) for entry in entries]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    return paths


@pytest.mark.parametrize("kind", NAMES)
def test_official_names_become_a_run_with_the_same_bytes(
    call: Call, fake_networks: None, tmp_path: Path, layouts: Path, kind: str
) -> None:
    paths = pictures(tmp_path / "theirs", layouts, NAMES[kind])
    answer = call(
        *("score", "--images", tmp_path / "theirs", "--layouts", layouts, "--seed", 42, "--out", "run", "--workers", 1)
    )
    assert answer.status == 0, answer.err
    assert answer.out.startswith("pictures: 10 read, 0 missing, 0 with several files, 0 unreadable; set aside: 0 stray")
    assert "\n| theirs " in answer.out and "10 of 10 layouts of `ten`" in answer.out
    samples = read_table(Path("run"), "samples")
    assert list(samples.sha256) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert list(samples.layout_index) == list(range(10)) and set(samples.seed) == {42}
    assert samples.seconds.isna().all() and "–" in answer.out
    assert read_table(Path("run"), "verdicts").attr.mean() > 0.8
    assert verify_run(Path("run")) == []


def test_what_is_amiss_is_counted_and_neither_0_nor_dropped(
    call: Call, fake_networks: None, tmp_path: Path, layouts: Path
) -> None:
    folder = tmp_path / "theirs"
    paths = pictures(folder, layouts)
    paths[0].unlink()
    (folder / "deep").mkdir()
    shutil.copy(paths[1], folder / "deep" / "again_k1.png")
    paths[2].write_bytes(b"no picture")
    paths[3].write_bytes(paths[3].read_bytes()[:150])
    shutil.copy(paths[4], folder / f"anno_{paths[4].name}")
    for stray in ("notes.txt", "000000_k99.png", ".DS_Store", "x_\x1b[2Jk1.png"):
        (folder / stray).write_bytes(paths[5].read_bytes())
    score = ("score", "--images", folder, "--layouts", layouts, "--out", "run", "--workers", 1)
    answer = call(*score)
    given = {"pictures": 6, "missing": 1, "duplicate": 1, "unreadable": 2, "stray": 4, "twins": 1}
    assert answer.status == 1 and "error: 4 samples failed" in answer.err
    found = read_run_info(Path("run"))["given"]
    assert {name: found[name] for name in given} == given
    assert set(found["first"]) == {"notes.txt", "000000_k99.png", ".DS_Store", r"x_\x1b[2Jk1.png"}
    assert "\x1b" not in answer.out
    counts = "6 read, 1 missing, 1 with several files, 2 unreadable; set aside: 4 stray files ("
    assert answer.out.count(counts) == 2  # at the top and under the table
    assert "**theirs: 6 of 10 images were judged; the others are not counted.**" in answer.out
    samples = read_table(Path("run"), "samples").set_index("layout_index")
    assert list(samples.index[samples.status == "failed"]) == [0, 1, 2, 3]
    assert samples.error[0] == "no picture was given"
    assert samples.error[1] == f"several files were given: {paths[1].name}, again_k1.png"
    assert samples.error[2].startswith(f"{paths[2].name}: ") and samples.error[3].startswith(f"{paths[3].name}: ")
    verdicts = read_table(Path("run"), "verdicts")
    assert set(verdicts.layout_index) == set(range(4, 10)) and verdicts.attr.mean() > 0.8
    assert verify_run(Path("run")) == ["4 samples failed"]
    paths[2].write_bytes(paths[5].read_bytes())
    changed = call(*score)
    assert changed.status == 2 and changed.error.startswith("run/run.json: ") and "use another folder" in changed.error


def test_a_csv_names_files_layouts_and_seeds(call: Call, fake_networks: None, tmp_path: Path, layouts: Path) -> None:
    folder = tmp_path / "theirs"
    paths = pictures(folder, layouts, lambda entry: f"picture {entry.index}.png")
    table = tmp_path / "map.csv"
    rows = [f"{path.name},{9 - k},{k % 2}" for k, path in enumerate(reversed(paths[1:]))]
    table.write_text("\ufefffile,index,seed\n" + "\n".join(rows) + "\nabsent.png,0,\n")
    found = by_mapping(folder, load_layouts(layouts), 7, table)
    assert found.files[9, 0] == [paths[9]] and found.files[8, 1] == [paths[8]] and (0, 7) in found.files
    assert found.strays == [paths[0]]
    answer = call(
        *("score", "--images", folder, "--layouts", layouts, "--mapping", table, "--out", "run", "--method", "Mine 2"),
        *("--workers", 1),
    )
    samples = read_table(Path("run"), "samples")
    assert answer.status == 1 and len(samples) == 20  # two seeds, of which each layout has one at most
    assert (samples.status == "ok").sum() == 9 and set(samples.method) == {"Mine 2"}
    first = samples[(samples.layout_index == 0) & (samples.seed == 0)].iloc[0]
    assert first.error == "no picture was given: absent.png is absent"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,index\n", "map.csv: has no column file"),
        ("file\na.png\n", "map.csv: has no column index"),
        ("file,index\na.png,x\n", "map.csv: line 2.index: 'x' is not an integer"),
        ("file,index\na.png\n", "map.csv: line 2.index: '' is not an integer"),
        ("file,index\na.png,10\n", "map.csv: line 2.index: there is no layout 10"),
        ("file,index\n../../etc/passwd,0\n", "map.csv: line 2.file: is outside the folder of pictures"),
        ("file,index\na\x00.png,0\n", "map.csv: "),
        ("file,index,seed\na.png,0,-1\n", "map.csv: line 2.seed: '-1' is not an integer"),
        ("file,index,seed\na.png,0,999999999999\n", "map.csv: line 2.seed: "),
        ("\x00", "map.csv: "),
    ],
)
def test_a_bad_csv_is_one_line(
    call: Call, fake_networks: None, tmp_path: Path, layouts: Path, text: str, message: str
) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "map.csv").write_text(text)
    where = ("--images", tmp_path / "pictures", "--layouts", layouts)
    answer = call("score", *where, "--mapping", tmp_path / "map.csv", "--out", "run")
    assert answer.status == 2 and message in answer.error and not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "score: give either a run folder, or --images with --layouts"),
        (["--images", "."], "score: give either"),
        (["--layouts", "mini"], "score: give either"),
        (["run", "--images", ".", "--layouts", "mini"], "score: give either"),
        (["run", "--mapping", "a.csv"], "mapping: belongs to --images"),
        (["run", "--seed", "0"], "seed: belongs to --images"),
        (["--images", ".", "--layouts", "mini", "--again"], "again: belongs to a run folder"),
        (["--images", "absent", "--layouts", "mini"], "absent: images: is not a folder"),
        (["--images", ".", "--layouts", "mini"], "none of 0 files is of a layout of mini"),
        (["--images", ".", "--layouts", "nonsense"], "unknown layout set 'nonsense'"),
        (["--images", ".", "--layouts", "mini", "--seed", "-1"], "none of 0 files"),
    ],
)
def test_the_two_uses_of_score_are_not_mixed(call: Call, fake_networks: None, options: list[str], message: str) -> None:
    answer = call("score", *options)
    assert answer.status == 2 and message in answer.error and list(Path.cwd().iterdir()) == []


def test_a_picture_too_large_or_of_another_kind_is_unreadable(tmp_path: Path) -> None:
    wide = tmp_path / "wide_1.png"
    cv2.imwrite(str(wide), np.zeros((1, 9000, 3), np.uint8))
    drawing = tmp_path / "drawing_1.svg"
    drawing.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "folder_1.png").mkdir()
    assert {state_of([path])[0] for path in (wide, drawing, tmp_path / "folder_1.png")} == {"unreadable"}
    assert by_name(tmp_path, SET, 0).files == {(1, 0): [drawing, wide]}


def test_a_run_of_pictures_is_scored_again_and_compared(
    call: Call, fake_networks: None, tmp_path: Path, layouts: Path
) -> None:
    pictures(tmp_path / "theirs", layouts)
    where = ("--images", tmp_path / "theirs", "--layouts", layouts, "--workers", 1)
    for out in ("a", "b"):
        assert call("score", *where, "--out", out).status == 0
    shutil.rmtree(tmp_path / "theirs")  # the run is whole without it
    before = read_table(Path("a"), "verdicts")
    assert call("score", "a", "--again", "--workers", 1).out == "10 pictures have verdicts\n"
    assert read_table(Path("a"), "verdicts").equals(before)
    assert "0 won, 0 lost" in call("compare", "a", "b").out


def test_exported_pictures_come_back_with_the_same_verdicts(
    call: Call, run_fake_job: JobRunner, tmp_path: Path
) -> None:
    run = run_fake_job(limit=10, methods=("migc",), seeds=(3, 5))
    answer = call("export", run, "--method", "migc", "--to", "out", "--seed", 5)
    assert answer.status == 0 and answer.out.splitlines() == [
        "10 of 800 layouts of mini: out",
        "the official evaluator leaves the other layouts out without a word",
    ]
    entries = SET.subset(10).entries
    assert {path.name for path in Path("out").iterdir()} == {f"{e.image_id.zfill(6)}_{e.key}.png" for e in entries}
    call("score", "--images", "out", "--layouts", "mini", "--seed", 5, "--out", "back", "--workers", 1)
    columns = ["layout_index", "instance", "iou", "attr", "hit_px"]
    before = read_table(run, "verdicts").query("method == 'migc' and seed == 5")[columns].reset_index(drop=True)
    assert len(before) == 40
    assert read_table(Path("back"), "verdicts")[columns].equals(before)
    again = call("export", run, "--method", "migc", "--to", "out")
    assert again.status == 2 and again.error == "out: is not an empty folder"
    assert call("export", run, "--method", "gligen", "--to", "new").error.endswith(
        "no samples of 'gligen' and seed 3; there are ('ceiling', 3), ('migc', 3), ('migc', 5)"
    )


def test_what_the_official_evaluator_cannot_take_is_said(
    call: Call, fake_networks: None, tmp_path: Path, layouts: Path
) -> None:
    paths = pictures(tmp_path / "theirs", layouts)
    for path in paths[5:]:
        path.unlink()
    where = ("--layouts", layouts, "--workers", 1)
    call("score", "--images", tmp_path / "theirs", *where, "--out", "run")
    export = ("export", "run", "--method", "theirs", "--to")
    levels = {load_layouts(layouts).entries[k].level for k in range(5)}
    lacking = ", ".join(f"L{k}" for k in sorted(set(range(2, 7)) - levels))
    shown = call(*export, "out").out
    assert ("ZeroDivisionError: no picture of " + lacking in shown) == bool(lacking)
    cv2.imwrite(str(paths[0]), np.zeros((512, 500, 3), np.uint8))
    call("score", "--images", tmp_path / "theirs", *where, "--out", "wide")
    wide = call("export", "wide", "--method", "theirs", "--to", "new")
    assert wide.status == 2 and "is 512 high and 500 wide: the official evaluator stops there" in wide.error
    assert not Path("new").exists()


def test_a_key_that_the_official_rule_cannot_read_is_refused(call: Call, fake_networks: None, tmp_path: Path) -> None:
    path = layout_file(tmp_path / "one.json")
    path.write_text(json.dumps({"a_b": json.loads(path.read_text())["0"]}))
    entry = load_layouts(path).entries[0]
    (tmp_path / "theirs").mkdir()
    image = paint("perfect", [entry.layout], ["key"]).images[0]
    cv2.imwrite(str(tmp_path / "theirs" / "x_a%5fb.png"), image)  # as run folders write this key
    done = call("score", "--images", tmp_path / "theirs", "--layouts", path, "--out", "run", "--workers", 1)
    assert done.status == 0, done.err
    refused = call("export", "run", "--method", "theirs", "--to", "out")
    assert refused.status == 2 and refused.error == "a_b: the official evaluator cannot read this key"


def test_text_of_files_and_names_does_not_reach_the_table_raw(tmp_path: Path) -> None:
    two = [tmp_path / "a\nb_1.png", tmp_path / "c_1.png"]
    for path in two:
        path.write_bytes(b"")
    assert state_of(two) == ("duplicate", r"several files were given: a\nb_1.png, c_1.png")
    with pytest.raises(InputError, match="is not a folder"):
        from bench.images import images_job

        images_job(tmp_path / "none", "mini", None, "x", 0)
