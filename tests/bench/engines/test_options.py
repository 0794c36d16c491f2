"""What is said before Ray is asked for anything."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from amdm.errors import InputError
from bench.cli.options import EngineName, engine_of


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.engines.cluster.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^engine: ray is not installed: pip install 'amdm\[ray\]'$"):
        engine_of(EngineName.ray, None, None)


def test_an_address_goes_with_ray() -> None:
    assert engine_of(EngineName.local, None, 3) is None
    with pytest.raises(InputError, match="address: goes with --engine ray"):
        engine_of(EngineName.local, "10.0.0.1:6379", None)


@pytest.mark.parametrize("address", ["a..b:6379", "127.0.0.1:99999999"])
def test_an_address_that_is_none_is_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.engines.cluster.find_spec", lambda name: name)
    with pytest.raises(InputError, match=f"^address: nothing answers at '{address}'"):
        engine_of(EngineName.ray, address, None)


@pytest.mark.parametrize("workers", [0, -1])
def test_a_number_of_workers_is_one(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.engines.cluster.find_spec", lambda name: name)
    with pytest.raises(InputError, match="workers"):
        engine_of(EngineName.ray, "local", workers)


def test_ray_is_imported_by_nobody_who_does_not_ask_for_it() -> None:
    code = "import sys, bench.benchmark, bench.cli.main, bench.stages.streaming; print('ray' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
