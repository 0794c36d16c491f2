"""The arrow between the packages points one way, and the command lines start without heavy libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_imports_follow_the_layers() -> None:
    """The contracts in pyproject.toml: bench imports amdm and never back, no circles, models apart from each other."""
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--config",
        str(ROOT / "pyproject.toml"),
        "--no-cache",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout + done.stderr


HEAVY = ("torch", "diffusers", "transformers", "pandas", "numpy", "cv2", "fsspec")
EVERY_HELP = """
import sys, typer
from typer.testing import CliRunner
from {package}.cli.main import app
def commands(group, path):
    for name, one in group.commands.items():
        yield [*path, name]
        if hasattr(one, "commands"):
            yield from commands(one, [*path, name])
for path in [[], *commands(typer.main.get_command(app), [])]:
    for option in ("--help", "-h"):
        shown = CliRunner().invoke(app, [*path, option])
        assert shown.exit_code == 0 and "Usage" in shown.output, (path, shown.output)
print([m for m in {heavy} if m in sys.modules])
"""


@pytest.mark.parametrize("package", ["amdm", "bench"])
def test_every_help_is_shown_without_heavy_libraries(package: str) -> None:
    code = EVERY_HELP.format(package=package, heavy=HEAVY)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [("presets",), ("weights", "list"), ("--version",)])
def test_what_only_reads_settings_starts_without_heavy_libraries(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code = f"import atexit, sys; atexit.register(lambda: print('heavy:', [m for m in {HEAVY} if m in sys.modules])); "
    code += f"sys.argv = ['amdm', *{arguments}]; from amdm.cli.main import main; main()"
    environment = {**os.environ, "AMDM_WEIGHTS_DIR": str(tmp_path)}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert shown.returncode == 0 and shown.stdout.splitlines()[-1] == "heavy: []", shown


@pytest.mark.parametrize("package", ["amdm", "bench"])
def test_the_public_names_resolve_and_come_late(package: str) -> None:
    code = f"import sys, {package}; assert not [m for m in {HEAVY} if m in sys.modules]; "
    code += f"print(all(getattr({package}, name) is not None for name in dir({package})), len(dir({package})))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    resolved, count = shown.stdout.split()
    assert resolved == "True" and int(count) >= 8


@pytest.mark.parametrize("package", ["amdm", "bench"])
def test_a_package_runs_as_a_module(package: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", package, "--version"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert shown.stdout.startswith("amdm ") and (ROOT / package / "py.typed").is_file()


def test_no_file_is_too_long() -> None:
    long = {
        str(p): n
        for folder in ("amdm", "bench")
        for p in (ROOT / folder).rglob("*.py")
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long
