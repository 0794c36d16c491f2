"""The judge of ``amdm studio``: the benchmark's verdicts, and its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
from PIL import Image

from amdm.layout import Instance, Interaction, Layout
from amdm.mini.renderer import render
from amdm.mini.scene_stream import acting_scene, style_picture
from amdm.mini.scenes import Scene, scene_generator
from amdm.studio.judged import GROUP, SIGNS
from amdm.studio.work import notes
from bench.detectors.registry import load_detector
from bench.layouts.layout_set import Entry
from bench.report.html.gallery import FATES
from bench.stages.verdicts import categories_of, judge_picture
from bench.studio import KINDS, MiniJudge, judge

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]


@pytest.fixture(scope="module")
def mini_judge() -> MiniJudge:
    found = judge("mini")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def scene() -> tuple[Scene, np.ndarray]:
    """A true rendering with two actions, in stripes."""
    rng = scene_generator("test:studio", 0, 3)
    made = replace(acting_scene(rng, 3, most=2), style="stripes")
    return made, render(made, rng).image


def test_verdicts_are_the_benchmarks(mini_judge: MiniJudge, scene: tuple[Scene, np.ndarray]) -> None:
    layout, image = scene[0].layout(), scene[1]
    swapped = tuple(
        replace(one, phrase=two.phrase) for one, two in zip(layout.instances, reversed(layout.instances), strict=True)
    )
    for asked in (layout, Layout("", swapped)):
        entry = Entry(0, "0", "", asked)
        (found,) = load_detector("mini").find([image], [categories_of(entry)])
        expected = [KINDS[one.verdict.failure] for one in judge_picture(image, entry, found)]
        assert [one.kind for one in mini_judge(image, asked, None).boxes] == expected
    assert {one.kind for one in mini_judge(image, layout, None).boxes} == {"right"}


def test_actions_and_style_are_judged(mini_judge: MiniJudge, scene: tuple[Scene, np.ndarray]) -> None:
    layout, image = scene[0].layout(), scene[1]
    stripes, dots = (
        Image.fromarray(style_picture(style, scene_generator("test:studio", 1, 0))) for style in ("stripes", "dots")
    )
    judged = mini_judge(image, layout, stripes)
    assert [one.right for one in judged.others] == [True] * (len(layout.interactions) + 1)
    assert judged.others[-1].asked == "style stripes"
    other = tuple(replace(one, action="flanks" if one.action != "flanks" else "joins") for one in layout.interactions)
    judged = mini_judge(image, replace(layout, interactions=other), dots)
    assert not any(one.right for one in judged.others)
    assert judged.others[0].reason == f"found {layout.interactions[0].action}"


def test_what_is_of_no_vocabulary_is_not_judged(mini_judge: MiniJudge, scene: tuple[Scene, np.ndarray]) -> None:
    known, dog = scene[0].layout().instances[0], Instance("a dog", (0.1, 0.1, 0.3, 0.3))
    layout = Layout("", (dog, known), (Interaction(dog, "chases", known),))
    judged = mini_judge(scene[1], layout, Image.new("RGB", (100, 80)))
    assert [one.kind for one in judged.boxes] == ["unjudged", "right"]
    assert [one.right for one in judged.others] == [None, None]
    assert mini_judge(scene[1], Layout("", (dog,)), None).boxes[0].kind == "unjudged"
    assert judge("paper") is None


@pytest.mark.parametrize(
    "phrase", ["big red circle", "red red circle", "The red circle", "a red circle ", "A red circle"]
)
def test_what_the_page_says_is_not_judged_is_not(mini_judge: MiniJudge, phrase: str) -> None:
    layout = Layout("", (Instance(phrase, (0.1, 0.1, 0.4, 0.4)),))
    assert "it is not judged" in notes("mini", layout)[0]
    assert mini_judge(np.zeros((64, 64, 3), np.uint8), layout, None).boxes[0].kind == "unjudged"


def test_signs_are_those_of_the_report() -> None:
    assert {SIGNS[KINDS[name]] for name in FATES} == {(letter, words) for _, letter, words in FATES.values()}  # type: ignore[index]


def test_amdm_finds_the_judge_by_its_entry_point(tmp_path: Path) -> None:
    """As an installed package declares it; one that cannot be imported is said, and pictures have no verdicts.

    The made-up packages bear the project's name, so that they stand before an installed one and its own entry point.
    """
    assert resolve_name(ENTRY_POINTS[GROUP]["judge"]) is judge
    code = "from amdm.studio.judged import installed_judge; print(type(installed_judge()('mini')).__name__)"
    for value, shown in ((ENTRY_POINTS[GROUP]["judge"], "MiniJudge"), ("no_such_module:judge", "NoneType")):
        about = tmp_path / shown / "amdm-1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: amdm\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[{GROUP}]\njudge = {value}\n")
        path = os.pathsep.join([str(about.parent), str(ROOT)])
        env = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.stdout.strip() == shown, done.stderr
        assert ("cannot be loaded" in done.stderr) == (shown == "NoneType")
