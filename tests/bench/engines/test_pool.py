"""Which actors a pool keeps, with actors that are none of Ray's; what Ray does is tested in test_ray.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.engines import pool as module
from bench.engines.pool import Pool


class Method:
    """A remote method whose answer is only named."""

    def __init__(self, name: str) -> None:
        self.name = name

    def options(self, **_: Any) -> Method:
        return self

    def remote(self, *arguments: Any) -> str:
        return " ".join([self.name, *map(str, arguments)])


def actor(name: str) -> Any:
    return SimpleNamespace(name=name, start=Method(f"{name} starts"), work=Method(f"{name} works"))


def test_actors_that_have_not_started_are_ended_before_those_that_have(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(module, "_end", lambda one: ended.append(one.name))
    pool = Pool(lambda: lambda task: task, (), {"num_cpus": 1}, size=3)
    pool.idle = [actor("warm"), actor("warmer")]
    names = iter(["first", "second"])

    def launch(_: Pool) -> Any:
        return actor(next(names))

    pool.fit(launch)
    pool.size = 4
    pool.fit(launch)
    assert list(pool.starting) == ["first starts", "second starts"] and not ended
    pool.add(["task"])
    pool.size = 2
    pool.fit(launch)
    assert ended == ["second", "first"] and list(pool.running) == ["warmer works task"]
    pool.size = 1
    pool.fit(launch)
    assert ended[2:] == ["warm"] and pool.actors == 1
