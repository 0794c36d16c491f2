"""A user's own function, class or factory as a generator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Layout
from bench.cli import main
from bench.generators.function import as_generator, callable_digest, load_callable
from bench.generators.generator import ContractError
from bench.layouts.named import load_layouts
from bench.run.info import RunInfo


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["amdm-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    return int(stopped.value.code or 0)


MODEL = """
class Model:
    def __init__(self, colour, size=32, device="none"):
        self.colour, self.size, self.device = colour, size, device

    def __call__(self, layouts, seeds):
        import numpy as np

        assert self.device == "cpu"
        return [np.full((self.size, self.size, 3), self.colour, np.uint8) for _ in layouts]


def factory(colour):
    return Model(colour, device="cpu")


def no_function(colour):
    return 3
"""


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(MODEL)
    return str(tmp_path / "model.py")


def test_a_class_or_a_factory_is_built_with_arguments_and_a_device(model_file: str) -> None:
    layouts = [entry.layout for entry in load_layouts("mini").subset(5).entries]
    made = load_callable(f"{model_file}:Model", ["colour=7", "size=64"])(layouts, [0] * 5)
    assert made[0].shape == (64, 64, 3) and made[4].max() == 7
    assert load_callable(f"{model_file}:factory", ["colour=9"])(layouts, [0] * 5)[0].max() == 9


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Model", [], "generator-arg: missing a required argument: 'colour'; give it with"),
        ("Model", ["color=7"], "unknown argument 'color'; did you mean colour"),
        ("Model", ["colour"], "generator-arg: 'colour' is not of the form name=value"),
        ("Model", ["colour=1", "colour=2"], "each name once"),
        ("no_function", ["colour=1"], "made a int, which is not callable"),
    ],
)
def test_what_cannot_be_built_is_one_line(model_file: str, name: str, arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_callable(f"{model_file}:{name}", arguments)


def test_arguments_are_part_of_a_run(model_file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    options = (
        "--generator",
        f"{model_file}:Model",
        "--layouts",
        "mini",
        "--limit",
        "5",
        "--out",
        "run",
        "--device=cpu",
    )
    assert run(monkeypatch, "run", *options, "--generator-arg=colour=0", "--generator-arg=size=64") == 0
    assert RunInfo.read(tmp_path / "run").job.arguments == ("colour=0", "size=64")
    assert run(monkeypatch, "run", *options, "--generator-arg=colour=9", "--generator-arg=size=64") == 2


def test_what_cannot_be_built_leaves_no_run_behind(
    model_file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--layouts", "mini", "--limit", "5", "--out", "run", "--generator-arg=color=0")
    assert run(monkeypatch, "run", "--generator", f"{model_file}:Model", *options) == 2
    assert run(monkeypatch, "run", "--generator", f"{model_file}:Modle", *options) == 2
    assert "did you mean Model?" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_the_digest_is_of_the_file_that_is_named_too(tmp_path: Path, model_file: str) -> None:
    digests = []
    for colour in (1, 2):
        named = tmp_path / f"named{colour}.py"
        named.write_text(f"from model import Model\ndraw = Model({colour})\n")
        digests.append(callable_digest(f"{named}:draw"))
    assert digests[0] != digests[1]


def test_style_pictures_are_given_to_a_function_that_takes_them_and_no_other_is_run() -> None:
    given: list[Any] = []

    def styled(layouts: list[Layout], seeds: list[int], styles: list[Image.Image]) -> list[Image.Image]:
        given.extend(styles)
        return [Image.new("RGB", (8, 8)) for _ in layouts]

    def bare(layouts: list[Layout], seeds: list[int]) -> list[Image.Image]:
        raise AssertionError("called")

    picture = Image.new("RGB", (2, 2), "red")
    as_generator(styled, "styled")("m", [Layout("a")], ["k"], styles=[picture])
    assert given == [picture]
    with pytest.raises(ContractError, match="has no parameter styles, which the layouts ask for"):
        as_generator(bare, "bare")("m", [Layout("a")], ["k"], styles=[picture])
