"""Layout files: what is read, and each fault named with its file and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amdm.cli.generate import example_layout
from amdm.errors import InputError, InputErrors
from amdm.layout import Instance, read_layout

PERSON, BALL = {"label": "a person", "bbox": [0, 0, 0.5, 1]}, {"label": "a red ball", "bbox": [0.5, 0.5, 1, 1]}


def written(folder: Path, content: Any) -> Path:
    path = folder / "layout.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_everything_is_read(tmp_path: Path) -> None:
    triple = {"subject": PERSON, "action": "kicking", "object": BALL}
    content = {"caption": "c", "segment": [BALL], "interactions": [triple], "style": "s.png"}
    layout, style = read_layout(str(written(tmp_path, content)))
    assert style == tmp_path / "s.png"
    assert layout.instances == (Instance("a red ball", (0.5, 0.5, 1, 1)),)
    (found,) = layout.triples()  # the ball is in the interaction, and is not placed twice
    assert (found.subject.phrase, found.action, found.object.phrase) == ("a person", "kicking", "a red ball")
    bare, none = read_layout(written(tmp_path, {"caption": "c", "interactions": [triple]}))
    assert none is None and [one.phrase for one in bare.placed()] == ["a person", "a red ball"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ([], "must be a JSON object"),
        ({"caption": "c", "segmnet": []}, "segmnet: is unknown; did you mean segment? there are: caption, segment, "),
        ({"caption": "c", "segment": [{**BALL, "box": 1}]}, "segment[0].box: is unknown; did you mean bbox?"),
        (
            {"caption": "c", "segment": [{"label": "x", "bbox": [0, 0, 1.01, 1]}]},
            "segment[0].bbox: x2 = 1.01 is outside",
        ),
        ({"0": {"caption": "c"}, "1": {"caption": "d"}}, "is a set of layouts (0, 1, …); name one of them (--key)"),
        ({"caption": "c", "image_id": 1.5}, "image_id: must be a text or an integer"),
        ({"caption": 1}, "caption: must be"),
        ({"caption": "c", "segment": {}}, "segment: must be a list"),
        ({"caption": "c", "interactions": [{"subject": PERSON, "action": "at"}]}, "interactions[0].object: is missing"),
        (
            {"caption": "c", "interactions": [{"subject": {"label": "x"}, "action": "at", "object": BALL}]},
            "interactions[0].subject.bbox: is missing",
        ),
        (
            {"caption": "c", "interactions": [{"subject": PERSON, "action": "", "object": BALL}]},
            "interactions[0].action",
        ),
        ({"caption": "c", "style": "../s.png"}, "style: must be the name of a file"),
        ({"caption": "c", "style": "/s.png"}, "style: must be the name of a file"),
        ({"caption": "c", "style": ""}, "style: must be the name of a file"),
        ({"caption": "\ud800"}, "caption"),
        ({"caption": "c", "segment": [{**BALL, "label": "\udfff"}]}, "segment[0].label"),
        (
            {"caption": "c", "interactions": [{"subject": PERSON, "action": "\ud800", "object": BALL}]},
            "interactions[0].action",
        ),
    ],
)
def test_faults_are_named(content: Any, field: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as found:
        read_layout(path)
    assert str(found.value).startswith(f"{path}: ") and field in str(found.value)


@pytest.mark.parametrize(
    "name", ["interactdiffusion+migc", "interactdiffusion+ip-adapter", "interactdiffusion+migc+ip-adapter@paper"]
)
def test_examples_of_the_papers_experiments(name: str) -> None:
    layout, style = read_layout(example_layout("paper", name))
    assert layout.interactions and (style is not None and style.is_file()) == ("ip-adapter" in name)
    with pytest.raises(InputError, match=r"^layout: is needed"):
        example_layout("paper", "gligen")


def test_the_example_of_the_combined_world_has_an_action_and_a_style() -> None:
    path = example_layout("mini", "migc").with_name("mini-combined.json")
    layout, style = read_layout(path)
    assert [one.action for one in layout.interactions] == ["pushes"] and style is not None and style.is_file()


def test_an_entry_of_a_set_is_a_layout(tmp_path: Path) -> None:
    layout, style = read_layout(written(tmp_path, {"caption": "c", "segment": [BALL], "image_id": "7"}))
    assert layout.instances == (Instance("a red ball", (0.5, 0.5, 1, 1)),) and style is None


def test_style_in_a_folder_beside_the_file(tmp_path: Path) -> None:
    assert read_layout(written(tmp_path, {"caption": "c", "style": "a/s.png"}))[1] == tmp_path / "a" / "s.png"


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_byte_order_marks(coding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if coding == "utf-16-le" else ""
    path = tmp_path / "l.json"
    path.write_bytes((mark + json.dumps({"caption": "ü"}, ensure_ascii=False)).encode(coding))
    assert read_layout(path)[0].caption == "ü"


def test_what_is_clipped_or_left_out_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rounded = {"label": "a red ball", "bbox": [0.5, -1e-7, 1.0000001, 1]}
    triple = {"subject": PERSON, "action": "kicking", "object": rounded}
    content = {"caption": "c", "segment": [rounded, {"label": "", "bbox": [0, 0, 0, 0]}], "interactions": [triple]}
    path = written(tmp_path, content)
    layout, _ = read_layout(path)
    assert layout.instances == (Instance("a red ball", (0.5, 0.0, 1.0, 1.0)),)
    assert len(layout.triples()) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: 2 boxes reach outside the picture by less than 0.001: clipped",
        f'{path}: 1 instance of padding (label "" at [0, 0, 0, 0]): left out',
    ]
    read_layout(written(tmp_path, {"caption": "c", "segment": [BALL]}))
    assert capsys.readouterr().err == ""


def test_in_python_a_box_outside_is_an_error_that_shows_it() -> None:
    with pytest.raises(InputError, match=r"^box: x2 = 1\.0000001 is outside \[0, 1\]"):
        Instance("a red ball", (0, 0, 1.0000001, 1))
    with pytest.raises(InputError, match=r"^box: y2 ≤ y1 \(0\.1 ≤ 0\.1000001\): the box is empty"):
        Instance("a red ball", (0, 0.1000001, 1, 0.1))


def test_all_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputErrors) as found:
        read_layout(written(tmp_path, {"segment": [{**BALL, "bbox": 3}], "interactions": 3, "style": 4, "x": 5}))
    fields = [one.field for one in found.value.faults]
    assert fields == ["x", "caption", "segment[0].bbox", "interactions", "style"]
