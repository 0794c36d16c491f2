"""The page's server, asked as its script asks it: a job that waits can be cancelled, and the line is the studio's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from amdm.model_set import LoadOptions
from amdm.studio.work import Studio
from tests.conftest import needs

needs("gradio", "ui")

import httpx  # noqa: E402

from amdm.studio.app import EXAMPLE  # noqa: E402
from amdm.studio.serve import Served  # noqa: E402

CHOSEN = [json.dumps(EXAMPLE), "interactdiffusion", [], "official", 3, "", "", 5, 0]


class Asker:
    """One page's requests, under its session."""

    def __init__(self, address: str, session: str) -> None:
        self.session, self.client = session, httpx.Client(base_url=address, timeout=300, trust_env=False)
        clicks = [one for one in self.client.get("config").json()["dependencies"] if _events(one) == ["click"]]
        self.go, self.stop = (one["id"] for one in clicks)

    def generate(self) -> Iterator[str]:
        """What is sent of the job, one text a message."""
        asked = {"data": CHOSEN, "fn_index": self.go, "session_hash": self.session}
        assert self.client.post("gradio_api/queue/join", json=asked).status_code == 200
        told = self.client.stream("GET", "gradio_api/queue/data", params={"session_hash": self.session})
        with told as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield line
                if "process_completed" in line:
                    return

    def cancel(self) -> None:
        asked = {"data": [], "fn_index": self.stop, "session_hash": self.session}
        assert self.client.post("gradio_api/api/predict", json=asked).status_code == 200


def _events(dependency: dict[str, Any]) -> list[str]:
    return [event for _, event in dependency["targets"]]


def test_a_job_that_waits_for_another_page_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def draw_all(self: Studio, job: Any, tell: Any) -> None:
        assert release.wait(300)

    monkeypatch.setattr(Studio, "_draw_all", draw_all)
    served = Served(Studio("mini", LoadOptions())).start()
    try:
        one, other = Asker(served.address, "one"), Asker(served.address, "other")
        drawn = one.generate()
        assert "loading the models" in next(line for line in drawn if "process_generating" in line)
        waiting = other.generate()
        assert any("waiting: 1 job before this one" in line for line in waiting)
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(list, waiting)
            other.cancel()
            assert "cancelled" in rest.result(300)[-1]
        assert not release.is_set()
        release.set()
        assert "done" in list(drawn)[-1]
    finally:
        release.set()
        served.close()
