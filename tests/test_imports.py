"""The arrow between the packages points one way, and the command lines start without heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_amdm_never_imports_bench() -> None:
    guilty = {str(p): n for p in (ROOT / "amdm").rglob("*.py") for n in imported(p) if n.split(".")[0] == "bench"}
    assert not guilty


def test_models_know_nothing_of_each_other() -> None:
    models = {"interactdiffusion", "migc", "stable_diffusion", "ip_adapter", "gligen"}
    for name in models:
        path = ROOT / "amdm" / "models" / f"{name}.py"
        if path.exists():
            others = {f"amdm.models.{other}" for other in models - {name}}
            assert not others & imported(path)


@pytest.mark.parametrize("module", ["amdm.cli", "bench.cli"])
def test_command_lines_start_light(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'diffusers', 'pandas') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"


def test_no_file_is_too_long() -> None:
    long = {
        str(p): n
        for folder in ("amdm", "bench")
        for p in (ROOT / folder).rglob("*.py")
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long
