from __future__ import annotations

import pytest

from amdm.model_set import Loading
from amdm.studio.work import Studio


@pytest.fixture(scope="session")
def studio() -> Studio:
    """Of the mini models, on the CPU, without a judge; they are loaded once."""
    return Studio("mini", Loading.parse("mini", device="cpu"))
