"""What the page sends, as a layout and as a file, and back."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, read_layout
from amdm.mini.vocabulary import STYLES
from amdm.studio.drawing import MAX_BOXES, layout_file, page_of_file, read_page
from amdm.studio.style import MAX_SIDE, mini_style, uploaded_style
from bench.layouts.readers import read_json

CIRCLE = {"phrase": "a red circle", "box": [0.1, 0.1, 0.4, 0.4]}
ARCH = {"phrase": "a blue arch", "box": [0.6, 0.5, 0.9, 0.9]}
JOIN = {"subject": 1, "action": "pushes", "object": 0}


def page(**changes: Any) -> str:
    return json.dumps({"caption": "", "boxes": [CIRCLE, ARCH], "joins": [JOIN], "style": None} | changes)


def png(size: tuple[int, int] = (64, 64), **options: Any) -> str:
    file = BytesIO()
    Image.new("RGB", size, "teal").save(file, format="PNG", **options)
    return base64.b64encode(file.getvalue()).decode()


def test_a_drawing_is_a_layout() -> None:
    layout = read_page(page()).layout
    circle, arch = Instance("a red circle", (0.1, 0.1, 0.4, 0.4)), Instance("a blue arch", (0.6, 0.5, 0.9, 0.9))
    assert layout.instances == (circle, arch) and layout.interactions == (Interaction(arch, "pushes", circle),)
    assert layout.caption == "a photo of a red circle and a blue arch "
    assert read_page(page(caption="two things")).layout.caption == "two things"


def test_a_saved_file_is_read_by_both_commands_and_by_the_page(tmp_path: Path) -> None:
    style = mini_style("dots")
    drawing = read_page(page(style=style.for_page()))
    (tmp_path / style.name).write_bytes(style.png())
    one, many = tmp_path / "layout.json", tmp_path / "layout-set.json"
    one.write_text(layout_file(drawing), encoding="utf-8")
    many.write_text(layout_file(drawing, as_set=True), encoding="utf-8")
    assert read_layout(one) == (drawing.layout, tmp_path / "dots-00.png")
    (entry,) = read_json(many, "drawn").entries
    assert entry.layout == drawing.layout and entry.asks_style and entry.style_name == "dots"
    assert [action.action for action in entry.actions] == ["pushes"]
    for text in (one.read_text(encoding="utf-8"), many.read_text(encoding="utf-8")):
        again = page_of_file(text)
        assert again.pop("notes") == [] and again.pop("style_name") == "dots-00.png"
        assert read_page(json.dumps(again)).layout == drawing.layout


def test_of_a_file_the_page_says_what_it_does_not_show() -> None:
    placed = {"label": "a boy", "bbox": [0, 0, 0.5, 1.0005]}
    other = {"label": "a kite", "bbox": [0.5, 0, 1, 0.5]}
    one = {"caption": "c", "interactions": [{"subject": placed, "action": "flying", "object": other}]}
    shown = page_of_file(json.dumps({"0": one, "1": one}))
    assert [box["phrase"] for box in shown["boxes"]] == ["a boy", "a kite"]
    assert shown["joins"] == [{"subject": 0, "action": "flying", "object": 1}]
    assert "2 layouts" in shown["notes"][0] and "clipped" in shown["notes"][1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boxes": []}, "draw at least one box"),
        ({"boxes": [CIRCLE | {"phrase": " "}], "joins": []}, "box 1 has no name"),
        ({"boxes": [CIRCLE, {"phrase": "a", "box": [0, 0, 2, 1]}]}, "box 2 cannot be used: x2 = 2 is outside"),
        ({"boxes": [CIRCLE, {"phrase": "a", "box": "0011"}]}, "box 2 cannot be used: must be four numbers"),
        ({"boxes": [CIRCLE, None]}, "box 2 has no name"),
        ({"boxes": [CIRCLE, ARCH | {"phrase": "x" * 201}]}, "box 2 has a name of more than 200"),
        ({"boxes": [CIRCLE, ARCH | {"phrase": "\ud800"}]}, "box 2 holds half of a surrogate pair"),
        ({"boxes": [CIRCLE] * (MAX_BOXES + 1)}, "there are 13 boxes"),
        ({"boxes": {}}, "boxes: must be a list"),
        ({"joins": [JOIN | {"object": 1}]}, "join 1 joins a box to itself"),
        ({"joins": [JOIN | {"object": 2}]}, "join 1 names a object that is not a box"),
        ({"joins": [JOIN | {"object": True}]}, "join 1 names a object that is not a box"),
        ({"joins": [JOIN | {"action": ""}]}, "join 1 has no action"),
        ({"caption": 3}, "caption: must be a text"),
        ({"style": {"name": "a.png", "data": "!"}}, "the style picture cannot be read"),
        ({"style": "a.png"}, "the style picture is not a file"),
    ],
)
def test_wrong_input_is_told_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_page(page(**changes))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', "[" * 100_000, 5, None, "x" * 3_000_000])
def test_what_is_no_drawing_and_no_file(text: Any) -> None:
    for read in (read_page, page_of_file):
        with pytest.raises(InputError):
            read(text)


@pytest.mark.parametrize("count", [1, MAX_BOXES])
def test_whatever_the_page_holds_is_a_set(count: int, tmp_path: Path) -> None:
    boxes = [{"phrase": "an orange cat", "box": [0.05 * k, 0.1, 0.05 * k + 0.3, 0.6]} for k in range(count)]
    drawing = read_page(page(boxes=boxes, joins=[]))
    (tmp_path / "set.json").write_text(layout_file(drawing, as_set=True), encoding="utf-8")
    (entry,) = read_json(tmp_path / "set.json", "drawn").entries
    assert entry.layout == drawing.layout


def test_a_style_picture_comes_back_as_it_was_used() -> None:
    for style in STYLES:
        first, again = mini_style(style), mini_style(style)
        assert first.png() == again.png() and first.name == f"{style}-00.png" and first.image.size == (64, 64)
        back = uploaded_style(first.for_page()["data"], first.name)
        assert back.name == first.name and np.array_equal(np.asarray(back.image), np.asarray(first.image))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/tmp/x.png", "stripes-00.png/..", "", None, 3, "STRIPES-00.png"])
def test_no_name_of_the_page_is_used(name: Any) -> None:
    assert uploaded_style(png(), name).name == "style.png"


def test_a_large_style_picture_is_scaled_down_and_a_broken_one_refused() -> None:
    assert uploaded_style(png((2000, 1000)), "a").image.size == (MAX_SIDE, MAX_SIDE // 2)
    with pytest.raises(InputError, match=r"the style picture cannot be read as a picture"):
        uploaded_style(base64.b64encode(b"GIF89a").decode(), "a")
    with pytest.raises(InputError, match="the style picture has more than"):
        uploaded_style(png((5000, 5000)), "a")
    with pytest.raises(InputError, match="at most 8 MiB"):
        uploaded_style("A" * 12_000_000, "a")
    with pytest.raises(InputError, match="unknown style"):
        mini_style("zigzag")
