from __future__ import annotations

import pytest

from amdm.model_set import LoadOptions
from amdm.studio.work import Studio


@pytest.fixture(scope="session")
def studio() -> Studio:
    """Of the mini models, on the CPU, without a judge; they are loaded once."""
    return Studio("mini", LoadOptions.parse("mini", device="cpu"))
