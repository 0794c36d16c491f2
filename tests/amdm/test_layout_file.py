"""Layout files: what is read, and each fault named with its file and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from amdm.generation import example_layout
from amdm.layout import Instance
from amdm.layout_file import read_layout

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
        ({"caption": "c", "segmnet": []}, "segmnet: is unknown"),
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
