"""The command line in this process, for tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.cli import main

SMALL = ("--profile", "mini", "--limit", "10", "--workers", "1", "--batch", "4")


class Answer(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error."""
        assert self.err.startswith("error: ") and self.err.count("\n") == 1, self.err
        return self.err.removeprefix("error: ").rstrip("\n")


Call = Callable[..., Answer]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line in this process, in an empty folder."""
    place = tmp_path / "cwd"
    place.mkdir()
    monkeypatch.chdir(place)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["amdm-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main.main()
        shown = capsys.readouterr()
        return Answer(left.value.code or 0, shown.out, shown.err)  # type: ignore[arg-type]

    return run


def layout_file(path: Path, **change: Any) -> Path:
    """A layout file of one entry, with a part replaced."""
    segment = [
        {"bbox": [0.1, 0.1, 0.4, 0.4], "label": "a red circle"},
        {"bbox": [0.5, 0.5, 0.9, 0.9], "label": "a blue arch"},
    ]
    entry = {"caption": "a photo of a red circle and a blue arch ", "image_id": "1", "segment": segment}
    for name, value in change.items():
        if name in entry:
            entry[name] = value
        else:
            segment[0][name] = value
    path.write_text(json.dumps({"0": {name: value for name, value in entry.items() if value is not None}}))
    return path
