"""What worker processes build: with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.generators.presets import make_generator
from bench.job.spec import EXTERNAL, Job

OWN = "def draw(layouts, seeds):\n    return []\n"


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_users_own_network_keeps_its_threads_and_small_ones_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_generator.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = Job(EXTERNAL, "mini", ("draw",), (0,), 4, 5, generator="own_generator:draw", digest="0" * 64)
    make_generator(own)
    assert torch.get_num_threads() == 2
    make_generator(Job("mini", "mini", ("migc",), (0,), 4, 5))
    assert torch.get_num_threads() == 1
