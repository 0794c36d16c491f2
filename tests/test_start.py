"""How the commands start: from a folder that has a ``bench`` of its own, as modules, and with completion."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import amdm

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]

SCRIPT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("amdm_launcher", {launcher!r})
sys.modules["amdm_launcher"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
if __name__ == "__main__":
    sys.exit(module.{function}())
"""
"""A console script of an editable install, where the import system finds the module by a table, not by the path."""

GENERATOR = """
import numpy as np
import helper
def draw(layouts, seeds):
    return [np.full((64, 64, 3), helper.GREY, np.uint8) for _ in layouts]
"""


MOST_BYTES = 30e6


def test_what_is_installed_is_small() -> None:
    """Before the wheel packs it; caches of the interpreter are in no wheel."""
    parts = (path for package in ("amdm", "bench") for path in (ROOT / package).rglob("*") if path.is_file())
    assert 2e7 < sum(path.stat().st_size for path in parts if "__pycache__" not in path.parts) <= MOST_BYTES


@pytest.fixture(params=["empty", "package"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A working folder with folders ``bench`` and ``amdm`` of the user's, and the console scripts elsewhere."""
    here = tmp_path / "here"
    for name in ("bench", "amdm"):
        (here / name).mkdir(parents=True)
        if request.param == "package":
            (here / name / "__init__.py").write_text("raise RuntimeError('a package of a user')")
    (here / "my_module.py").write_text(GENERATOR)
    (here / "helper.py").write_text("GREY = 128")
    (tmp_path / "bin").mkdir()
    for name, target in SCRIPTS.items():
        module, _, function = target.partition(":")
        assert module == "amdm_launcher"
        text = SCRIPT.format(launcher=str(ROOT / "amdm_launcher.py"), function=function)
        (tmp_path / "bin" / name).write_text(text)
    return here


def start(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder.parent / "bin" / name), *arguments]
    environment = {**os.environ, "PYTHONPATH": "."}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=1200)


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_a_folder_of_the_users_does_not_hide_ours(folder: Path, name: str) -> None:
    done = start(folder, name, "--help")
    assert done.returncode == 0 and f"Usage: {name} " in done.stdout, done.stderr[-500:]


def test_neither_in_worker_processes_and_the_users_modules_are_found(folder: Path) -> None:
    options = ("--layouts", "mini", "--detector", "mini", "--limit", "5", "--batch", "1", "--workers", "2")
    done = start(folder, "amdm-bench", "run", "--generator", "my_module:draw", *options)
    assert done.returncode == 0 and "records and pictures" in done.stdout, done.stderr[-800:]


@pytest.mark.parametrize("package", ["amdm", "bench"])
def test_as_a_module_with_its_version(package: str) -> None:
    done = subprocess.run([sys.executable, "-m", package, "--version"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, f"amdm {version('amdm')}\n")
    assert amdm.__version__ == version("amdm")
    with pytest.raises(AttributeError, match="no attribute 'version'"):
        amdm.version  # noqa: B018


@pytest.mark.parametrize(
    ("package", "name", "begun", "expected"),
    [
        ("amdm", "amdm", "we", "weights"),
        ("bench", "amdm-bench", "lay", "layouts"),
    ],
)
def test_completion(package: str, name: str, begun: str, expected: str) -> None:
    command = [sys.executable, "-m", package]
    asked = {f"_{name.upper().replace('-', '_')}_COMPLETE": "complete_bash", "COMP_WORDS": f"{name} {begun}"}
    environment = {**os.environ, **asked, "COMP_CWORD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stdout.split()) == (0, [expected])
    source = {**os.environ, next(iter(asked)): "source_bash"}  # what --install-completion writes
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=source)
    assert done.stdout.rstrip().endswith(f" {name}") and next(iter(asked)) in done.stdout
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=ROOT).stdout
    assert "--install-completion" in shown


def test_both_packages_say_that_they_are_typed() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    for package in ("amdm", "bench"):
        assert "py.typed" in content[package] and (ROOT / package / "py.typed").is_file()
