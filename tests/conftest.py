"""What all tests share: an environment that is the same everywhere, packages of extras, and folders of recorded cases.

Tests read whatever cases lie there, and skip where a folder is absent. They skip, too, where the package of an extra is
absent; with ``REQUIRE_EXTRAS=1`` in the environment, as in continuous integration, they fail.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

# Of whoever runs the tests: each would colour, wrap or redirect what commands say, here and in processes of their own.
for _name in (
    *("GITHUB_ACTIONS", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("AMDM_WEIGHTS_DIR", "AMDM_MINI_WEIGHTS_DIR", "PYTHONWARNINGS", "TQDM_DISABLE"),
):
    os.environ.pop(_name, None)
os.environ["COLUMNS"] = "80"  # or rich asks the terminal that stdin may be

# The same cases everywhere, and as long as a busy machine takes for them.
settings.register_profile("anywhere", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anywhere")

_ROOT = Path(__file__).resolve().parents[1]


def needs(package: str, extra: str) -> None:
    """Nothing, where a package is installed that an extra of pyproject.toml brings; else :func:`lacks`."""
    found = find_spec(package)
    if found is None or found.origin is None:  # a folder of that name in the working directory is no package
        lacks(f"{package} is not installed (extra: {extra})")


def lacks(what: str) -> NoReturn:
    """Skip the test, or the module that is imported; fail with ``REQUIRE_EXTRAS``."""
    if os.environ.get("REQUIRE_EXTRAS"):
        pytest.fail(f"{what}; REQUIRE_EXTRAS is set", pytrace=False)
    pytest.skip(what, allow_module_level=True)


def recorded_folder(variable: str, name: str) -> Path:
    """Where the recorded cases lie, whether or not they are there."""
    return Path(os.environ.get(variable) or _ROOT.parent / "shared" / name)


def _folder(variable: str, name: str) -> Path:
    folder = recorded_folder(variable, name)
    if not folder.is_dir():
        pytest.skip(f"no recorded cases: {variable} is not set and ../shared/{name} is absent")
    return folder


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Inputs and outputs of the official model code (AMDM_REFERENCE_DIR)."""
    return _folder("AMDM_REFERENCE_DIR", "reference")


@pytest.fixture(scope="session")
def evaluator_dir() -> Path:
    """Inputs and verdicts of the official evaluator (AMDM_EVALUATOR_DIR)."""
    return _folder("AMDM_EVALUATOR_DIR", "evaluator")


@pytest.fixture(scope="session")
def coco_mig_dir() -> Path:
    """The public COCO-MIG files (AMDM_COCO_MIG_DIR)."""
    return _folder("AMDM_COCO_MIG_DIR", "coco-mig")
