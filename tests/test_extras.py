"""Tests that need the package of an extra skip without it, and fail in continuous integration, which has them all."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import needs

ROOT = Path(__file__).resolve().parents[1]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PINNED = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
NEEDS = re.compile(r"""^ *needs\("(\w+)", "(\w+)"\)""", re.MULTILINE)


def packages(extra: str) -> set[str]:
    """Names of what an extra names, in those that it includes too."""
    found = set()
    for one in EXTRAS[extra]:
        name, _, inner = re.split(r"[<>=]", one)[0].rstrip("]").partition("[")
        found |= set().union(*map(packages, inner.split(","))) if name == "amdm" else {name}
    return found


def test_a_test_without_its_package_is_skipped_or_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REQUIRE_EXTRAS", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "only_a_folder").mkdir()
    needs("pytest", "dev")
    for name in ("no_such_package", "only_a_folder"):
        monkeypatch.delenv("REQUIRE_EXTRAS", raising=False)
        with pytest.raises(pytest.skip.Exception, match=rf"{name} is not installed \(extra: ray\)"):
            needs(name, "ray")
        monkeypatch.setenv("REQUIRE_EXTRAS", "1")
        with pytest.raises(pytest.fail.Exception, match=f"{name} is not installed"):
            needs(name, "ray")
    needs("pytest", "dev")


def test_continuous_integration_installs_what_tests_need() -> None:
    installed = packages("dev") | packages("ci")
    found = {extra for path in (ROOT / "tests").rglob("*.py") for _, extra in NEEDS.findall(path.read_text())}
    assert {"ray", "s3", "ui", "browser", "tensorboard", "trackio", "wandb"} <= found
    for extra in found:
        assert packages(extra) <= installed, extra
    assert installed <= PINNED


def test_no_test_skips_for_a_package_in_another_way() -> None:
    """Not ultralytics: its licence is AGPL-3.0, and it brings a second OpenCV."""
    others = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__) and re.search(r"importorskip|skipif\(find_spec", path.read_text())
    }
    assert others == {"tests/bench/detectors/test_yolo.py"}


@pytest.mark.parametrize(
    ("there", "user", "apt", "status"),
    [(True, 1000, 1, 0), (False, 0, 0, 0), (False, 0, 1, 1), (False, 1000, 0, 1)],
)
def test_continuous_integration_has_chromium_or_fails(
    there: bool, user: int, apt: int, status: int, tmp_path: Path
) -> None:
    stubs, said = tmp_path / "stubs", tmp_path / "said"
    programs = {"apt-get": f'echo "apt-get $1" >> {said}; exit {apt}', "id": f"echo {user}", "chromium": ""}
    programs |= {name: f'echo "{name} $1 $REQUIRE_EXTRAS" >> {said}' for name in ("make", "python")}
    for name, script in programs.items():
        place = tmp_path / ".venv" / "bin" if name == "python" else stubs
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(0o755)
    if not there:
        (stubs / "chromium").unlink()
    for name in ("bash", "dirname"):
        (stubs / name).symlink_to(str(shutil.which(name)))
    (tmp_path / ".ci").mkdir()
    script = shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    found = subprocess.run([script], env={"PATH": str(stubs)}, capture_output=True, text=True)
    assert found.returncode == status, found.stderr
    done = said.read_text().splitlines() if said.exists() else []
    installed = [] if there or user else ["apt-get update", "apt-get install"][: 1 if apt else 2]
    made = [f"make {target} 1" for target in ("setup-ci", "check", "regress", "test")]
    assert done == installed + ([*made, "python -m 1"] if status == 0 else [])
    assert ("apt-get install chromium" in found.stderr) == bool(user and status)
