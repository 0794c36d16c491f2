"""Runs on a cluster of this machine: a worker, a node and a driver killed; ``make torture-ray`` does 50 kills."""

from __future__ import annotations

import pytest

from tests.conftest import needs
from tests.torture.test_kills import assert_the_same_after


@pytest.mark.ray
def test_three_kills_on_a_cluster_leave_the_records_of_the_local_engine() -> None:
    needs("ray", "ray")
    assert_the_same_after(3, "tests.torture.ray_kills", limit=10)
