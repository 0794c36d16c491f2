from __future__ import annotations

import json
from pathlib import Path

from tests.bench.cli.command import Answer, Call, layout_file


def test_layout_sets_are_shown_and_validated(call: Call, tmp_path: Path) -> None:
    shown = call("layouts", "show", "mini", "--draw", tmp_path / "new" / "sheet.png")
    assert shown.status == 0 and "800 layouts, 3200 instances" in shown.out and "COCO-MIG" in shown.out
    assert (tmp_path / "new" / "sheet.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").touch()
    inside = call("layouts", "show", "mini", "--draw", tmp_path / "file" / "sheet.png")
    assert inside.status == 2 and inside.error.startswith(f"{tmp_path / 'file'}: cannot be a folder")
    assert "1 layouts, 2 instances" in call("layouts", "validate", layout_file(tmp_path / "good.json")).out
    assert call("layouts", "validate", layout_file(tmp_path / "bad.json", caption=3)).status == 2


def test_validate_lists_every_fault(call: Call, tmp_path: Path) -> None:
    path = layout_file(tmp_path / "bad.json", caption=3, boox=[0, 0, 1, 1])
    answer = call("layouts", "validate", path)
    assert answer.status == 2 and answer.error.startswith(f"{path}: 0.caption: must be a text; also 0.segment[0].boox")
    assert [line.partition(": is ")[0] for line in answer.out.splitlines()] == [
        f"{path}: 0.caption: must be a text",
        f"{path}: 0.segment[0].boox",
    ]
    path.write_text(json.dumps({str(k): {} for k in range(100)}))
    lines = call("layouts", "validate", path).out.splitlines()
    assert len(lines) == 21 and lines[-1] == "20 faults, where reading stopped"


def test_what_is_clipped_is_said_once_a_command(call: Call, fake_networks: None, tmp_path: Path) -> None:
    path = layout_file(tmp_path / "over.json", bbox=[0.1, 0.1, 1.0000001, 0.4])
    note = "over: 1 box reaches outside the picture by less than 0.001: clipped"
    for command in (
        ("layouts", "validate", path),
        ("layouts", "show", path),
        ("migc", "--profile", "mini", "--layouts", path, "--methods", "migc", "--workers", "1"),
    ):
        answer = call(*command)
        assert answer.status == 0 and answer.err.count(note) == 1, answer


def test_a_style_image_that_is_not_there_is_said(call: Call, tmp_path: Path) -> None:
    path = layout_file(tmp_path / "styled.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"0": {**content["0"], "style": "s.png"}}))
    answer = call("layouts", "validate", path)
    assert answer.status == 0 and answer.err.splitlines() == [
        "styled: 1 style pictures are asked for and not judged: 's.png'",
        f"warning: {tmp_path / 's.png'}: 0.style: is not there",
    ]
    stopped = call("migc", "--profile", "mini", "--layouts", path, "--methods", "migc", "--workers", "1")
    assert stopped.status == 2
    assert stopped.err.splitlines()[-1] == f"error: {tmp_path / 's.png'}: 0.style: is not there"
    (tmp_path / "s.png").write_text("no picture")
    path.write_text(json.dumps({key: {**content["0"], "style": "s.png"} for key in "01"} | {"2": content["0"]}))
    warned = [line for line in call("layouts", "validate", path).err.splitlines() if line.startswith("warning: ")]
    assert [line.partition(" style image, ")[0].partition(" (PNG")[0] for line in warned] == [
        "warning: 2.style: is missing: other layouts of the set name a",
        f"warning: {tmp_path / 's.png'}: 0.style: cannot be read as a picture",
    ]


def test_odd_annotations_are_counted_and_the_set_is_sampled(call: Call, tmp_path: Path) -> None:
    images = [{"id": k, "width": 640, "height": 480} for k in range(100)]
    texts = [{"id": k, "image_id": k, "caption": "x"} for k in range(100)]
    things = [
        {"id": 10 * k + j, "image_id": k, "category_id": 1, "bbox": [50 * j, 10, 200, 300]}
        for k in range(100)
        for j in range(2 + k % 5)
    ]
    things[0]["bbox"] = []
    things[3]["bbox"] = [540, 0, 100.0000001, 200]
    (tmp_path / "c.json").write_text(json.dumps({"images": images, "annotations": texts}))
    whole = {"images": images, "annotations": things, "categories": [{"id": 1, "name": "cat"}]}

    def sample(to: str = "to.json") -> Answer:
        (tmp_path / "i.json").write_text(json.dumps(whole))
        paths = ("--captions", tmp_path / "c.json", "--instances", tmp_path / "i.json", "--to", tmp_path / to)
        return call("layouts", "sample", *paths, "--count", "10")

    answer = sample()
    assert answer.status == 0 and "10 layouts" in answer.out
    assert answer.err.splitlines() == [
        f"{tmp_path / 'i.json'}: 1 annotation with a box that reached outside by up to a pixel, clipped",
        f"{tmp_path / 'i.json'}: 1 annotation without a box, left out",
    ]
    things[4]["category_id"] = 7
    answer = sample()
    where = f"{tmp_path / 'i.json'}: annotation 12 of image 1.category_id: 7 is not a category"
    assert answer.status == 2 and answer.error.startswith(where)
    images[0]["width"] = None
    (tmp_path / "c.json").write_text(json.dumps({"images": images, "annotations": texts}))
    assert sample().error.startswith(f"{tmp_path / 'c.json'}: image 0.width: None is not a number of pixels")
    assert sample("to.txt").error == f"{tmp_path / 'to.txt'}: to: a layout set is written as .json"
