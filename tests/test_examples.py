"""The scripts of examples/ and the code of the README do what they say."""

from __future__ import annotations

import re
import runpy
import subprocess
import textwrap
from pathlib import Path

import pytest
from PIL import Image

from amdm.layout_file import read_layout
from amdm.mini.vocabulary import CATEGORIES, COLOURS

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
    paths = re.findall(r"\]\(((?!http)[^)#]+)\)", readme)
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
    if (ROOT / ".git").exists():  # a file that git ignores is there for its author alone
        ignored = subprocess.run(["git", "-C", str(ROOT), "check-ignore", *paths], capture_output=True, text=True)
        assert not ignored.stdout, ignored.stdout


def test_the_layout_file_of_the_documentation_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "layout-files.md").read_text(encoding="utf-8")
    shown = textwrap.dedent(re.search(r"\n\n(    \{\n(?:    .*\n)+)", page)[1])  # type: ignore[index]
    (tmp_path / "my.json").write_text(shown, encoding="utf-8")
    layout, style = read_layout(tmp_path / "my.json")
    assert [one.phrase for one in layout.instances] == ["a red circle", "a blue arch"] and style is None
    for word in (*COLOURS, *CATEGORIES):
        assert word in page
