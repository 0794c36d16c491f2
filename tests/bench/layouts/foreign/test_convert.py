"""Layouts of other tools: right boxes, and every fault named."""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from amdm.errors import InputError, faults_of
from bench.layouts.foreign.convert import convert
from bench.layouts.foreign.voc import _parse
from bench.layouts.layout_set import LayoutSet
from bench.layouts.readers import read_json, write_json

BOX = (0.1, 0.2, 0.5, 0.6)


def put(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def boxes(found: LayoutSet) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    """Key → label and box of each instance."""
    return {one.key: [(i.phrase, pytest.approx(i.box)) for i in one.layout.instances] for one in found.entries}


def faults(source: Path, *arguments: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        convert(source, *arguments)
    return [str(one) for one in faults_of(caught.value)]


def coco(*annotations: Any, **more: Any) -> dict[str, Any]:
    images = [{"id": k, "width": 200, "height": 100} for k in (1, 2, 3)]
    categories = [{"id": 7, "name": "dragon"}, {"id": 8, "name": "red apple"}]
    return {"images": images, "categories": categories, "annotations": list(annotations)} | more


ONE = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [20, 20, 80, 40]}


def test_coco_has_pixels_and_its_own_captions(tmp_path: Path) -> None:
    second = {"id": 2, "image_id": 2, "category_id": 8, "bbox": [0, 0, 200.5, 100]}
    source = put(tmp_path / "a.json", coco(ONE, second))
    captions = put(
        tmp_path / "c.json",
        {
            "images": [],
            "annotations": [
                {"id": 5, "image_id": 1, "caption": "A dragon."},
                {"id": 6, "image_id": 1, "caption": "no"},
            ],
        },
    )
    found = convert(source, "coco", captions=captions)
    assert boxes(found) == {"1": [("dragon", BOX)], "2": [("red apple", (0, 0, 1, 1))]}
    assert [one.layout.caption for one in found.entries] == ["A dragon.", "a photo of a red apple "]
    assert found.entries[0].image_id == "1" and found.entries[1].labels[0].colour == "red"
    notes = "\n".join(found.notes)
    assert "1 captions made of the labels" in notes and "1 pictures without boxes, left out" in notes
    assert "1 annotations with a box that reached outside by up to a pixel, clipped" in notes
    write_json(found, tmp_path / "out.json")
    assert read_json(tmp_path / "out.json", "a") == found


def test_pictures_with_too_many_boxes_are_left_out_and_counted(tmp_path: Path) -> None:
    crowd = [{**ONE, "id": k, "image_id": 2} for k in range(10, 23)]
    found = convert(put(tmp_path / "a.json", coco(ONE, *crowd)), "coco")
    assert list(boxes(found)) == ["1"] and "1 pictures with more than 12 boxes, left out" in found.notes
    assert "1 captions made of the labels" in found.notes


def test_every_fault_of_coco_is_named(tmp_path: Path) -> None:
    source = put(
        tmp_path / "a.json",
        coco({**ONE, "bbox": [0, 0, 300, 10]}, {**ONE, "id": 2, "image_id": 2, "category_id": 9}),
    )
    assert faults(source, "coco") == [
        f"{source}: annotation 1 of image 1.bbox: [0, 0, 300, 10] reaches outside its picture of 200×100 pixels",
        f"{source}: annotation 2 of image 2.category_id: 9 is not a category; there are: 7, 8",
    ]


def test_faults_of_all_parts_of_coco_are_named_in_one_go(tmp_path: Path) -> None:
    pictures = [{"id": 1, "width": 200, "height": 100}, {"id": 2, "width": "x", "height": 100}, {"id": 1}]
    unknown = {**ONE, "id": 2, "image_id": 2, "category_id": 9}
    annotations = ({**ONE, "bbox": [1, 2, 3]}, unknown, "x", {**ONE, "id": 3, "image_id": 5})
    found = faults(put(tmp_path / "a.json", coco(*annotations, images=pictures)), "coco")
    assert [one.removeprefix(f"{tmp_path / 'a.json'}: ") for one in found] == [
        "image 1.id: stands twice: ids must be distinct",
        "annotations[2]: must be an object",
        "annotation 1 of image 1.bbox: [1, 2, 3] is not [x, y, width, height] in pixels",
        "image 2.width: 'x' is not a number of pixels",
        "annotation 2 of image 2.category_id: 9 is not a category; there are: 7, 8",
        "image 5: is annotated, and is not among the images",
    ]


def test_yolo_has_a_file_a_picture(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    put(folder / "classes.txt", "dragon\nring\n")
    put(folder / "one.txt", "0 0.3 0.4 0.4 0.4\n\n1 0.5 0.5 1 1.0001\n")
    put(folder / "none.txt", "")
    found = convert(folder, "yolo")
    assert boxes(found) == {"one": [("dragon", BOX), ("ring", (0, 0, 1, 1))]}
    assert found.entries[0].layout.caption == "a photo of a dragon and a ring "
    assert "1 pictures without boxes, left out" in found.notes
    named = put(tmp_path / "data.yaml", "names:\n  0: cat\n  1: dog\n")
    (folder / "classes.txt").unlink()
    assert [label for label, _ in boxes(convert(folder, "yolo", names=named))["one"]] == ["cat", "dog"]


def test_every_fault_of_yolo_is_named_by_file_and_line(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    put(folder / "classes.txt", "cat\n")
    first = put(folder / "a.txt", "0 0.5 0.5 0.2\n1 0.5 0.5 0.2 0.2\n0 0.5 x 0.2 0.2\n")
    second = put(folder / "b.txt", "0 0.5 0.5 0.2 0\n0 1 1 0.5 0.5\n0 nan 1 1 1\n")
    assert faults(folder, "yolo") == [
        f"{first}: line 1: has 4 fields; a box is `class cx cy w h`",
        f"{first}: line 2.class: '1' is not a class; there are: 0",
        f"{first}: line 3.cy: 'x' is not a number",
        f"{second}: line 1.bbox: [0.5, 0.5, 0.2, 0] as cxcywh is empty",
        f"{second}: line 2.bbox: [1, 1, 0.5, 0.5] as cxcywh reaches outside a picture of sides 1",
        f"{second}: line 3.bbox: cx is not a finite number",
    ]
    with pytest.raises(InputError, match=r"also line 2\.class, line 3\.cy, .*/b\.txt: line 1\.bbox, "):
        convert(folder, "yolo")
    put(second, "7 0.5 x 0.2 0.2\n")
    assert [one.split(": ")[1] for one in faults(folder, "yolo")[-2:]] == ["line 1.class", "line 1.cy"]
    (folder / "classes.txt").unlink()
    assert "names: is not there; it names the classes" in faults(folder, "yolo")[0]


def test_names_of_classes_are_numbered_by_their_lines(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    put(folder / "one.txt", "1 0.3 0.4 0.4 0.4\n")
    names = put(folder / "classes.txt", "cat\r\nred\u2028dog\r\n\r\n")
    assert boxes(convert(folder, "yolo")) == {"one": [("red\u2028dog", BOX)]}
    names.write_text("cat\n\ndog\n")
    assert faults(folder, "yolo")[0].startswith(f"{names}: line 2: is empty, and a class is numbered by its line")


VOC = """<annotation><filename>x.jpg</filename>
<size><width>200</width><height>100</height><depth>3</depth></size>
<object><name>dragon</name>
  <part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>
  <bndbox><xmin>20</xmin><ymin>20</ymin><xmax>100</xmax><ymax>60</ymax></bndbox>
</object></annotation>"""


def test_voc_has_a_document_a_picture(tmp_path: Path) -> None:
    put(tmp_path / "voc" / "one.xml", VOC)
    assert boxes(convert(tmp_path / "voc", "voc")) == {"one": [("dragon", BOX)]}
    assert boxes(convert(tmp_path / "voc" / "one.xml", "voc")) == {"one": [("dragon", BOX)]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'<!DOCTYPE a [<!ENTITY b "c">]>{VOC}', "line 1: has a document type, whose entities are not read"),
        (f'<!DOCTYPE a SYSTEM "file:///etc/passwd">{VOC}', "line 1: has a document type"),
        (VOC[:200], "line 5: not XML: "),
        ("<a>" * 100, "line 1: is nested deeper than 32"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "line 1: not XML: "),
        (VOC.replace("dragon", ""), "line 3.name: is missing"),
        (VOC.replace("<xmin>20", "<xmin>a"), "line 3.bndbox.xmin: 'a' is not a number"),
        (
            VOC.replace("<xmax>100", "<xmax>300"),
            "line 3.bbox: [20, 20, 300, 60] as xyxy reaches outside a picture of 200×100",
        ),
        (VOC.replace("<width>200", "<width>0"), "size.width: '0' is not a number of pixels"),
        ("<html/>", "size.width: is missing"),
        (VOC.replace("</name>", "</name><name>ring</name>", 1), "line 3.object.name: stands twice"),
        (VOC.replace("<xmax>", "<xmax>4</xmax><xmax>"), "line 5.object.bndbox.xmax: stands twice"),
        (VOC.replace("</depth>", "</depth><width>9</width>"), "line 2.size.width: stands twice"),
    ],
)
def test_bad_documents(tmp_path: Path, content: str, message: str) -> None:
    path = put(tmp_path / "bad.xml", content)
    assert faults(path, "voc")[0].startswith(f"{path}: {message}")


def test_the_work_of_reading_a_document_grows_with_its_size() -> None:
    def seconds(count: int) -> float:
        document = f"<annotation><object><name>{'a&amp;' * count}</name></object></annotation>".encode()
        times = []
        for _ in range(3):
            start = process_time()
            _parse(document)
            times.append(process_time() - start)
        return min(times)

    # 16 times the pieces: 16 times the work, and 256 times where each is joined to all before it.
    assert seconds(160_000) < 64 * seconds(10_000)


def test_json_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    line = {"caption": "a\u2028b", "segment": [{"label": "dragon", "bbox": [0, 0, 1, 1]}]}
    path = put(tmp_path / "a.jsonl", json.dumps(line, ensure_ascii=False) + "\r\n{\r\n")
    assert faults(path, "jsonl", "xyxy", "relative")[0].startswith(f"{path}: line 2: not JSON")
    path.write_text(json.dumps(line, ensure_ascii=False))
    assert convert(path, "jsonl", "xyxy", "relative").entries[0].layout.caption == "a\u2028b"


def test_json_lines_have_the_named_form(tmp_path: Path) -> None:
    segment = [{"label": "dragon", "bbox": [20, 20, 80, 40]}]
    lines = [
        {"segment": segment, "width": 200, "height": 100},
        {"key": "k", "caption": "mine", "segment": segment, "width": 200, "height": 100, "image_id": 3},
    ]
    path = put(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    found = convert(path, "jsonl", "xywh", "pixel")
    assert boxes(found) == {"0": [("dragon", BOX)], "k": [("dragon", BOX)]}
    assert [one.layout.caption for one in found.entries] == ["a photo of a dragon ", "mine"]
    relative = put(tmp_path / "b.jsonl", json.dumps({"segment": [{"label": "dragon", "bbox": [0.3, 0.4, 0.4, 0.4]}]}))
    assert boxes(convert(relative, "jsonl", "cxcywh", "relative")) == {"0": [("dragon", BOX)]}


def test_boxes_of_interactions_are_converted_too(tmp_path: Path) -> None:
    ends = {
        "subject": {"label": "a boy", "bbox": [20, 20, 80, 40]},
        "object": {"label": "kite", "bbox": [0, 0, 200, 100]},
    }
    line = {"segment": [dict(one) for one in ends.values()], "interactions": [{**ends, "action": "flying"}]}
    path = put(tmp_path / "a.jsonl", json.dumps({**line, "width": 200, "height": 100}))
    (one,) = convert(path, "jsonl", "xywh", "pixel").entries[0].layout.interactions
    assert one.subject.box == pytest.approx(BOX) and one.object.box == (0, 0, 1, 1)


def test_style_pictures_go_with_the_file_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = {"segment": [{"label": "a cat", "bbox": [0, 0, 1, 1]}], "style": "styles/s-1.png"}
    path = put(tmp_path / "a.jsonl", json.dumps(line))
    monkeypatch.chdir(tmp_path)
    for source, out in ((path, Path("o.json")), (Path("a.jsonl"), tmp_path / "p.json"), (path, Path("x/../q.json"))):
        (tmp_path / "x").mkdir(exist_ok=True)
        write_json(convert(source, "jsonl", "xyxy", "relative"), out)
        assert read_json(tmp_path / out.name, "a").entries[0].style == tmp_path / "styles" / "s-1.png"
    with pytest.raises(InputError, match=r"s-1\.png: 0\.style: is not in x$"):
        write_json(convert(path, "jsonl", "xyxy", "relative"), Path("x/r.json"))


def test_every_fault_of_json_lines_is_named(tmp_path: Path) -> None:
    lines = [
        "{",
        json.dumps({"segment": [{"label": "a", "bbox": [0, 0, 1]}], "colour": 1}),
        "[]",
        json.dumps({"key": [1]}),
    ]
    path = put(tmp_path / "a.jsonl", "\n".join(lines))
    found = faults(path, "jsonl", "xyxy", "relative")
    assert [one.removeprefix(f"{path}: ").split(": ")[0] for one in found] == [
        *("line 1", "line 2.colour", "line 2.segment[0].bbox", "line 3", "line 4.key"),
    ]
    put(path, json.dumps({"caption": 5, "segment": [{"label": "", "bbox": [0, 0, 2, 1]}]}) + '\n{"segment": []}\n')
    assert [one.removeprefix(f"{path}: ").split(": ")[0] for one in faults(path, "jsonl", "xyxy", "relative")] == [
        *("line 1.segment[0].bbox", "line 1.caption", "line 1.segment[0].label", "line 2.segment"),
    ]
    unsized = put(tmp_path / "b.jsonl", json.dumps({"segment": [{"label": "a", "bbox": [0, 0, 1, 1]}]}))
    assert faults(unsized, "jsonl", "xyxy", "pixel") == [
        f"{unsized}: line 1.segment[0].width: boxes in pixels need the picture's width and height"
    ]
    huge = put(unsized, json.dumps({"segment": [{"label": "a", "bbox": [0, 0, 9, 9]}], "width": 10**400, "height": 9}))
    assert faults(huge, "jsonl", "xyxy", "pixel")[0].endswith("is not a number of pixels")


def test_csv_has_a_box_a_row(tmp_path: Path) -> None:
    rows = (
        "key,label,x,y,w,h,width,height,caption",
        '3,dragon,20,20,80,40,200,100,"mine, all"',
        "b,an elf,0,0,50,50,100,50,",
        "3,red ring,0,0,10,10,200,100,",
    )
    found = convert(put(tmp_path / "a.csv", "\n".join(rows) + "\n"), "csv", "xywh", "pixel")
    assert boxes(found) == {
        "3": [("dragon", BOX), ("red ring", (0, 0, 0.05, 0.1))],
        "b": [("an elf", (0, 0, 0.5, 1))],
    }
    assert [one.layout.caption for one in found.entries] == ["mine, all", "a photo of an elf "]


def test_every_fault_of_a_csv_is_named(tmp_path: Path) -> None:
    rows = "key,label,x1,y1,x2,y2\n0,a,0,0,1,x\n0,,0,0,1,z\n1,a,0,0,2,1\n1,a,0,0,1\n1,a,1,0,0.5,1\n"
    path = put(tmp_path / "a.csv", rows)
    assert faults(path, "csv", "xyxy", "relative") == [
        f"{path}: line 2.y2: 'x' is not a number",
        f"{path}: line 3.label: is empty",
        f"{path}: line 3.y2: 'z' is not a number",
        f"{path}: line 4.bbox: [0, 0, 2, 1] as xyxy reaches outside a picture of sides 1",
        f"{path}: line 5: has more or fewer cells than the header",
        f"{path}: line 6.bbox: [1, 0, 0.5, 1] as xyxy is empty",
    ]
    assert faults(put(tmp_path / "b.csv", "key,label,x1,y1,x2,colour\n"), "csv", "xyxy", "relative") == [
        f"{tmp_path / 'b.csv'}: y2: is missing: columns are key, label, x1, y1, x2, y2",
        f"{tmp_path / 'b.csv'}: colour: is an unknown column",
    ]


def test_rows_of_one_key_say_the_same_of_their_picture(tmp_path: Path) -> None:
    rows = (
        "key,label,x1,y1,x2,y2,width,height,image_id,caption",
        "k,dragon,20,20,100,60,200,100,7,mine",
        "k,dragon,20,20,100,60,200.0,100,,",
        "k,dragon,20,20,100,60,400,200,8,yours",
    )
    path = put(tmp_path / "a.csv", "\n".join(rows))
    assert faults(path, "csv", "xyxy", "pixel") == [
        f"{path}: line 4.{name}: is not that of the first row of 'k'"
        for name in ("caption", "image_id", "width", "height")
    ]
    put(path, "\n".join(rows[:-1]))
    assert boxes(convert(path, "csv", "xyxy", "pixel")) == {"k": [("dragon", BOX)] * 2}


def test_fractions_that_are_called_pixels_are_refused(tmp_path: Path) -> None:
    header, row = "key,label,x1,y1,x2,y2,width,height\n", "0,dragon,0.1,0.2,0.5,0.6,200,100\n"
    path = put(tmp_path / "a.csv", header + row)
    what = "[0.1, 0.2, 0.5, 0.6] as xyxy has a side under a pixel; fractions are units relative"
    assert faults(path, "csv", "xyxy", "pixel") == [f"{path}: line 2.bbox: {what}"]
    put(path, header + "0,dragon,0.1,0.2,1.1,1.2,200,100\n")
    assert len(convert(path, "csv", "xyxy", "pixel")) == 1


def test_no_more_than_twenty_faults(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "key,label,x1,y1,x2,y2\n" + "0,a,0,0,1,x\n" * 100)
    found = faults(path, "csv", "xyxy", "relative")
    assert len(found) == 20 and all(one.startswith(f"{path}: line ") for one in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cocoa",), "from: unknown form of layouts 'cocoa'; did you mean coco?"),
        (("csv",), "boxes: is needed with --from csv"),
        (("csv", "xyxy"), "units: is needed with --from csv"),
        (("csv", "yxyx", "pixel"), "boxes: unknown form of boxes 'yxyx'"),
        (("csv", "xyxy", "metres"), "units: unknown units of boxes 'metres'"),
        (("coco", "xyxy"), "boxes: of coco are xywh, not xyxy"),
        (("voc", None, "relative"), "units: of voc are pixel, not relative"),
        (("csv", "xyxy", "pixel", Path("c.json")), "captions: goes with --from coco"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, arguments: tuple[Any, ...], message: str) -> None:
    assert faults(tmp_path, *arguments)[0].startswith(message)
