"""What is said before Ray is asked for anything."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from amdm.errors import InputError
from bench.cli.options import EngineName, engine_of
from bench.engines.cluster import RayEngine


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


@pytest.mark.parametrize("mode", [None, "token"])
def test_a_cluster_that_lets_nobody_in_may_ask_for_a_token(mode: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379\nand more")

    monkeypatch.setattr("bench.engines.cluster.find_spec", lambda name: name)
    monkeypatch.setattr("bench.engines.cluster._check_answers", lambda address: None)
    monkeypatch.setattr("bench.engines.cluster.QUIET", {})
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(InputError) as refused, RayEngine("10.0.0.1:6379").connected("cpu"):
        pass
    assert refused.value.what.startswith("no Ray cluster at '10.0.0.1:6379': Failed to connect")
    assert refused.value.what.endswith("RAY_AUTH_MODE=token must be set") == (mode is None)
