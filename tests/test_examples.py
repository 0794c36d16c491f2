"""The scripts of examples/ and the code of the README do what they say."""

from __future__ import annotations

import re
import runpy
import textwrap
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]


def test_two_models_are_aggregated_in_15_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = ROOT / "examples" / "aggregate.py"
    code = [
        line for line in script.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith('"""')
    ]
    assert len(code) <= 15
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    first, second = (Image.open(tmp_path / name) for name in ("aggregated.png", "migc.png"))
    assert first.size == second.size == (256, 256) and first.tobytes() != second.tobytes()


def test_the_readmes_code_is_the_script() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## As a library")[2]
    shown = textwrap.dedent(re.search(r"\n\n((?:    .*\n|\n)+)", section)[1])  # type: ignore[index]
    names = set(re.findall(r"pipe\(.*\)|\.save\(\".*?\"\)|from_pretrained\(.*\)", shown))
    script = (ROOT / "examples" / "aggregate.py").read_text(encoding="utf-8")
    assert names and all(name in script for name in names)
    compile(shown, "README.md", "exec")


def test_files_that_the_readme_names_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", readme):
        assert (ROOT / path).exists(), path
