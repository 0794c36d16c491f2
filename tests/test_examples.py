"""The scripts of examples/ and the code of the README do what they say."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import textwrap
from pathlib import Path

import pandas as pd
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image

from amdm.layout import read_layout
from amdm.mini.vocabulary import CATEGORIES, COLOURS
from amdm.pipeline import AMDMPipeline
from tests.amdm.test_own_unets import tiny_stable_diffusion, tiny_unet

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


def test_two_unets_of_ones_own_are_aggregated_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Aggregate your own pair")[2]
    code = textwrap.dedent(re.search(r"\n\n((?:    .*\n|\n)+)", section)[1])  # type: ignore[index]
    assert sum(1 for line in code.splitlines() if line.strip()) <= 11
    base = tiny_stable_diffusion()
    monkeypatch.setattr(StableDiffusionPipeline, "from_pretrained", lambda name: base)
    monkeypatch.setattr(UNet2DConditionModel, "from_pretrained", lambda path: tiny_unet(base, 1))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    first, second = (Image.open(tmp_path / name) for name in ("aggregated.png", "base.png"))
    assert first.size == second.size == (64, 64) and first.tobytes() != second.tobytes()
    again = AMDMPipeline.from_pretrained("my-pair")
    drawn = again("a lighthouse at dusk", generator=torch.Generator().manual_seed(0)).images[0]
    assert drawn.tobytes() == first.convert("RGB").tobytes()


def test_files_that_the_readme_names_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    paths = re.findall(r"\]\(((?!http)[^)#]+)\)", readme)
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
    if (ROOT / ".git").exists():  # a file that git ignores is there for its author alone
        ignored = subprocess.run(["git", "-C", str(ROOT), "check-ignore", *paths], capture_output=True, text=True)
        assert not ignored.stdout, ignored.stdout


def test_the_model_of_the_documentation_is_sampled(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]  # type: ignore[index]
    exec(compile(code, "measuring.md", "exec"), {})
    assert capsys.readouterr().out == "torch.Size([1, 4, 8, 8]) {'first': 20, 'second': 3}\n"


NUMBERS = r"[+−]?\d+\.\d+"


def rows_of(page: str, first: str) -> list[list[str]]:
    """The cells of the rows below a page's table whose heading begins so."""
    lines = (ROOT / page).read_text(encoding="utf-8").partition(first)[2].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[: lines.index("")]]


def shown(cell: str) -> list[float]:
    return [float(number.replace("−", "-")) for number in re.findall(NUMBERS, cell)]


def near(found: list[float], report: list[float]) -> bool:
    """Equal to one decimal; at a tie, rounded either way."""
    return len(found) == len(report) and all(abs(a - 100 * b) <= 0.0501 for a, b in zip(found, report, strict=True))


def results(report: str) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = json.loads((ROOT / "reports" / report / "summary.json").read_text())[
        "results"
    ]
    return found


def differences(report: str) -> dict[str, list[float]]:
    """Method → value, low, high of its ISR less the target's."""
    rows = pd.read_csv(ROOT / "reports" / report / "differences.csv").to_dict("records")
    return {row["method"]: [row["isr"], row["isr_low"], row["isr_high"]] for row in rows}


def test_the_readmes_main_table_is_its_report() -> None:
    of = results("mini")
    rows = rows_of("README.md", "| method, ")
    assert len(rows) == 4
    for method, row in zip(("interactdiffusion", "interactdiffusion+migc", "migc", "ceiling"), rows, strict=True):
        one = of[method]
        assert near(shown(row[1].replace("–", " ")), one["isr"]), row
        for cell, metric in zip(row[2:], ("miou", "place", "colour_given_place"), strict=True):
            assert near(shown(cell), one[metric][:1]), row


def test_the_controls_are_their_report() -> None:
    of = differences("controls")
    rows = rows_of("docs/results.md", "| control, ")
    assert len(rows) == len(of)
    for row in rows:
        assert sum(near(shown(row[1]), found) for found in of.values()) == 1, row


def test_the_other_runs_are_their_reports() -> None:
    rows = rows_of("docs/results.md", "| `make bench-migc …` |")
    assert len(rows) == 3
    for row in rows:
        report = re.search(r"reports/([\w-]+)/", row[0])[1]  # type: ignore[index]
        of = results(report)
        for cell, method in zip(
            (row[1], row[2], row[4]), ("interactdiffusion", "interactdiffusion+migc", "migc"), strict=True
        ):
            assert near(shown(cell)[:1], of[method]["isr"][:1]), row
            if "±" in cell:
                spread = pd.read_csv(ROOT / "reports" / report / "seeds.csv").set_index(["method", "level"])
                assert near(shown(cell)[1:], [spread.loc[(method, "Avg"), "isr_std"]]), row
        assert near(shown(row[3]), differences(report)["interactdiffusion+migc"]), row
        assert near(shown(row[5]), of["ceiling"]["isr"][:1]), row


def test_the_layout_file_of_the_documentation_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "layout-files.md").read_text(encoding="utf-8")
    shown = textwrap.dedent(re.search(r"\n\n(    \{\n(?:    .*\n)+)", page)[1])  # type: ignore[index]
    (tmp_path / "my.json").write_text(shown, encoding="utf-8")
    layout, style = read_layout(tmp_path / "my.json")
    assert [one.phrase for one in layout.instances] == ["a red circle", "a blue arch"] and style is None
    for word in (*COLOURS, *CATEGORIES):
        assert word in page
